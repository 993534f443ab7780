import { getOption } from "@bufbuild/protobuf";
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
import { callerOf, type Caller, type TokenRules } from "../identity/tokens.ts";

const callerKey = createContextKey<Caller | undefined>(undefined, { description: "caller" });

/** The access token of a request. An `Authorization` header takes precedence over the cookie. */
function tokenOf(header: Headers, { secureCookies }: TokenRules): string | undefined {
  const authorization = header.get("authorization");
  if (authorization === null) return readCookie(header, ACCESS_COOKIE, secureCookies);
  return /^Bearer +([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(authorization)?.[1];
}

/**
 * The user of the request's token. An invalid token counts as no token: a client that sends its expired
 * token with every call can still renew it. The response never says why a token is invalid.
 */
async function identifyRequest(header: Headers, rules: TokenRules): Promise<Caller | undefined> {
  const token = tokenOf(header, rules);
  return token ? callerOf(token, rules).catch(() => undefined) : undefined;
}

/** Whether a method is open to anonymous callers. A banned user counts as anonymous there. */
function admitsBanned(req: UnaryRequest | StreamRequest): boolean {
  if (getOption(req.method, access) !== Access.ANYONE) return false;
  return getOption(req.method, ownCredentials) || !req.header.has("authorization");
}

/** Rejects the token of a banned user, or ignores it if the method does not depend on it. */
function unlessBanned(
  req: UnaryRequest | StreamRequest,
  found: Caller | undefined,
  { isBanned }: TokenRules,
): Caller | undefined {
  if (!found || !isBanned?.(found.id)) return found;
  if (admitsBanned(req)) return undefined;
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
  const asked = getOption(req.method, access);
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
  return (next) => async (req) => {
    const caller = unlessBanned(req, await identifyRequest(req.header, rules), rules);
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
