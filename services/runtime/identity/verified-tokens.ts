import { LRUCache } from "lru-cache";
import { callerOf, verifyToken, type Caller, type TokenRules } from "./tokens.ts";

const MAX_TOKENS = 5_000;

interface VerifiedToken {
  caller: Caller;
  /** In milliseconds since 1970. */
  expiresAt: number;
  /** The keys with which it was verified. */
  keySet: object;
}

/**
 * Returns a function that resolves with the user of a valid token. A verified token is remembered until it
 * expires or any key changes: a signature costs more than the rest of a small call. Bans are not part of
 * it, so they are checked for each call.
 */
export function tokenVerifier(rules: TokenRules): (token: string) => Promise<Caller> {
  const verified = new LRUCache<string, VerifiedToken>({ max: MAX_TOKENS });
  return async (token) => {
    const keySet = rules.keySet?.(); // Read first: keys that change meanwhile count as others.
    const known = verified.get(token);
    if (known && known.keySet === keySet && known.expiresAt > Date.now()) return known.caller;
    const claims = await verifyToken(token, rules);
    const caller = callerOf(claims);
    if (keySet) verified.set(token, { caller, expiresAt: Number(claims.exp) * 1_000, keySet });
    return caller;
  };
}
