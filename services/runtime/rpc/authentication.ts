import { getOption } from "@bufbuild/protobuf";
import {
  createContextKey,
  type HandlerContext,
  type Interceptor,
  type UnaryRequest,
  type StreamRequest,
} from "@connectrpc/connect";
import {
  access,
  Access,
  own_credentials as ownCredentials,
} from "@ticketing/proto/options/v1/options";
import { jwtVerify, type JWTPayload, type JWTVerifyGetKey } from "jose";
import type { DomainError } from "../errors.ts";
import { CallError } from "../errors.ts";

/** Who is calling, as their access token says. */
export interface Caller {
  id: string;
  sessionId: string;
  roles: readonly string[];
  /** Whether their email address was confirmed when the token was made. */
  emailConfirmed: boolean;
}

/** What a token must be to count here. */
export interface TokenRules {
  keys: JWTVerifyGetKey;
  issuer: string;
  audience: string;
  /** Under TLS: only cookies with the `__Host-` prefix count, and without TLS only those without. */
  secureCookies: boolean;
  /** Whose tokens count no more, good as they are. */
  isBanned?: (userId: string) => boolean;
}

/** The one algorithm that is signed with and accepted: pinned on both sides. */
export const ALGORITHM = "ES256";

/** The cookies that carry a browser's session. */
export const ACCESS_COOKIE = "ticketing_access";
export const REFRESH_COOKIE = "ticketing_refresh";

/** Under TLS with the prefix that pins a cookie to this host: no other site of the domain can set it. */
export const cookieName = (name: string, secure: boolean): string =>
  secure ? `__Host-${name}` : name;

const callerKey = createContextKey<Caller | undefined>(undefined, { description: "caller" });

/** A cookie of the request, by its one name; the first counts, at the edge too. */
export function readCookie(header: Headers, name: string, secure: boolean): string | undefined {
  const pairs = (header.get("cookie") ?? "").split(";").map((pair) => pair.trim());
  const wanted = `${cookieName(name, secure)}=`;
  return pairs.find((pair) => pair.startsWith(wanted))?.slice(wanted.length);
}

/** The token's claims, if it is one of ours and still good. */
export async function verifyToken(token: string, rules: TokenRules): Promise<JWTPayload> {
  const { payload } = await jwtVerify(token, rules.keys, {
    algorithms: [ALGORITHM],
    issuer: rules.issuer,
    audience: rules.audience,
    requiredClaims: ["sub", "exp"],
    clockTolerance: 5,
  });
  return payload;
}

async function identify(token: string, rules: TokenRules): Promise<Caller> {
  const { sub, sid, roles, email_verified: verified } = await verifyToken(token, rules);
  if (typeof sub !== "string" || sub === "") throw new Error("a token without a user");
  return {
    id: sub,
    sessionId: typeof sid === "string" ? sid : "",
    roles: Array.isArray(roles) ? roles.filter((role) => typeof role === "string") : [],
    emailConfirmed: verified === true,
  };
}

/** The one access token of a request: where an `Authorization` header is there, it alone counts. */
function tokenOf(header: Headers, { secureCookies }: TokenRules): string | undefined {
  const authorization = header.get("authorization");
  if (authorization === null) return readCookie(header, ACCESS_COOKIE, secureCookies);
  return /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization)?.[1];
}

/**
 * Whose token a request carries. One that does not count is as good as none: where strangers may call it
 * makes a stranger, so that a client that sends its header with every call is not locked out of renewing
 * it. Why it does not count is nobody's business.
 */
async function identifyRequest(header: Headers, rules: TokenRules): Promise<Caller | undefined> {
  const token = tokenOf(header, rules);
  return token ? identify(token, rules).catch(() => undefined) : undefined;
}

/** Whether a method lets strangers in, and a banned user as one. */
function admitsBanned(req: UnaryRequest | StreamRequest): boolean {
  if (getOption(req.method, access) !== Access.ANYONE) return false;
  return getOption(req.method, ownCredentials) || !req.header.has("authorization");
}

/** A banned user's token is refused; where it is not what the call goes by, it makes a stranger of them. */
function unlessBanned(
  req: UnaryRequest | StreamRequest,
  found: Caller | undefined,
  { isBanned }: TokenRules,
): Caller | undefined {
  if (!found || !isBanned?.(found.id)) return found;
  if (admitsBanned(req)) return undefined;
  throw new CallError("BANNED", "this account is banned");
}

/** Without a token, with a bad one and with one that has expired: one answer, which the edge gives too. */
const unauthenticated = (): DomainError =>
  new CallError(
    "UNAUTHENTICATED",
    "sign in, or refresh the session: this needs a valid access token",
  );

function admit(req: UnaryRequest | StreamRequest, caller: Caller | undefined): void {
  const asked = getOption(req.method, access);
  if (asked === Access.ANYONE) return;
  if (!caller) throw unauthenticated();
  if (asked === Access.SIGNED_IN) return;
  if (asked === Access.ADMINISTRATOR && caller.roles.includes("administrator")) return;
  throw new CallError("NOT_ALLOWED", "you may not do this");
}

/**
 * Finds out who is calling and lets through whom the contract admits. A method that does not say who
 * may call it is refused, so a handler that forgets to ask is safe.
 */
export function authenticate(rules: TokenRules): Interceptor {
  return (next) => async (req) => {
    const caller = unlessBanned(req, await identifyRequest(req.header, rules), rules);
    admit(req, caller);
    req.contextValues.set(callerKey, caller);
    return next(req);
  };
}

/** Who is calling, if they are signed in. */
export const callerIfAny = (ctx: HandlerContext): Caller | undefined => ctx.values.get(callerKey);

/** The signed-in user of this call. */
export function caller(ctx: HandlerContext): Caller {
  const found = callerIfAny(ctx);
  if (!found) throw unauthenticated();
  return found;
}
