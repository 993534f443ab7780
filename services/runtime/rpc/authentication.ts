import { getOption, type DescMethod } from "@bufbuild/protobuf";
import {
  createContextKey,
  type HandlerContext,
  type Interceptor,
  type StreamRequest,
  type UnaryRequest,
} from "@connectrpc/connect";
import {
  access,
  Access,
  own_credentials as ownCredentials,
} from "@ticketing/proto/options/v1/options";
import { CallError, type DomainError } from "../errors.ts";
import { ACCESS_COOKIE, readCookie } from "../identity/cookies.ts";
import type { Caller, TokenRules } from "../identity/tokens.ts";
import { tokenVerifier } from "../identity/verified-tokens.ts";
import { headerReader } from "./unary/call.ts";

type HeaderReader = Pick<Headers, "get">;

const callerKey = createContextKey<Caller | undefined>(undefined, { description: "caller" });

/** The access token of a request. An `Authorization` header takes precedence over the cookie. */
function tokenOf(header: HeaderReader, { secureCookies }: TokenRules): string | undefined {
  const authorization = header.get("authorization");
  if (authorization === null) return readCookie(header, ACCESS_COOKIE, secureCookies);
  return /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization)?.[1];
}

/**
 * The user of the request's token. An invalid token counts as no token: a client that sends its expired
 * token with every call can still renew it. The response never says why a token is invalid.
 */
async function identifyRequest(
  header: HeaderReader,
  rules: TokenRules,
  verify: (token: string) => Promise<Caller>,
): Promise<Caller | undefined> {
  const token = tokenOf(header, rules);
  return token ? verify(token).catch(() => undefined) : undefined;
}

interface DeclaredAccess {
  access: Access;
  ownCredentials: boolean;
}

const declared = new WeakMap<DescMethod, DeclaredAccess>();

/** What the contract declares. Reading an option decodes it, so it is read once. */
function accessOf(method: DescMethod): DeclaredAccess {
  const known = declared.get(method);
  if (known) return known;
  const read = {
    access: getOption(method, access),
    ownCredentials: getOption(method, ownCredentials),
  };
  declared.set(method, read);
  return read;
}

/** Whether a method is open to anonymous callers. A banned user counts as anonymous there. */
function admitsBanned({ method }: UnaryRequest | StreamRequest, header: HeaderReader): boolean {
  const { access: asked, ownCredentials: own } = accessOf(method);
  return asked === Access.ANYONE && (own || header.get("authorization") === null);
}

/** Rejects the token of a banned user, or ignores it if the method does not depend on it. */
function unlessBanned(
  req: UnaryRequest | StreamRequest,
  header: HeaderReader,
  found: Caller | undefined,
  { isBanned }: TokenRules,
): Caller | undefined {
  if (!found || !isBanned?.(found.id)) return found;
  if (admitsBanned(req, header)) return undefined;
  throw new CallError("BANNED", "this account is banned");
}

/**
 * The response is the same without a token, with an invalid token and with an expired one, as at the edge.
 */
const unauthenticated = (): DomainError =>
  new CallError(
    "UNAUTHENTICATED",
    "sign in, or refresh the session: this needs a valid access token",
  );

function admit(req: UnaryRequest | StreamRequest, caller: Caller | undefined): void {
  const { access: asked } = accessOf(req.method);
  if (asked === Access.ANYONE) return;
  if (!caller) throw unauthenticated();
  if (asked === Access.SIGNED_IN) return;
  if (asked === Access.ADMINISTRATOR && caller.roles.includes("administrator")) return;
  throw new CallError("NOT_ALLOWED", "you may not do this");
}

/**
 * Authenticates the caller and checks the access that the contract declares. A method without a
 * declaration is closed to everyone, so a handler cannot forget the check.
 */
export function authenticate(rules: TokenRules): Interceptor {
  const verify = tokenVerifier(rules);
  return (next) => async (req) => {
    const header = headerReader(req);
    const found = await identifyRequest(header, rules, verify);
    const caller = unlessBanned(req, header, found, rules);
    admit(req, caller);
    req.contextValues.set(callerKey, caller);
    return next(req);
  };
}

/** The signed-in user of this call, if there is one. */
export const callerIfAny = (ctx: HandlerContext): Caller | undefined => ctx.values.get(callerKey);

/** The signed-in user of this call. */
export function caller(ctx: HandlerContext): Caller {
  const found = callerIfAny(ctx);
  if (!found) throw unauthenticated();
  return found;
}
