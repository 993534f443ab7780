import type { TokenRules } from "#runtime/identity/tokens.ts";
import type { AuthConfig } from "../config.ts";
import type { SigningKeys } from "./signing-keys.ts";

/** The rules by which auth verifies access tokens, with its own keys. */
export const tokenRules = (
  keys: SigningKeys,
  config: AuthConfig,
  isBanned: (userId: string) => boolean,
): TokenRules => ({
  keys: keys.getKey,
  keySet: () => keys.jwks,
  issuer: config.TOKEN_ISSUER,
  audience: config.TOKEN_AUDIENCE,
  secureCookies: config.SECURE_COOKIES,
  isBanned,
});
