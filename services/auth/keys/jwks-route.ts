import { sendJson, type HttpHandler } from "#runtime/lifecycle/http.ts";
import type { SigningKeys } from "./signing-keys.ts";

/** Half of the time for which a new key is published before it signs. */
const CACHE_CONTROL = "public, max-age=60";

/** The route where everyone can fetch the public keys. */
export const jwksRoute = (keys: SigningKeys): Record<string, HttpHandler> => ({
  "GET /.well-known/jwks.json": (_req, res) =>
    sendJson(res, 200, keys.jwks, { "cache-control": CACHE_CONTROL }),
});
