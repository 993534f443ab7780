import { isDeepStrictEqual } from "node:util";
import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import type { Log } from "../log.ts";

/**
 * Auth detects within a second that a key was withdrawn, so the key is rejected here within six seconds. The
 * edge uses the same interval: envoy.yaml, cache_duration.
 */
const REFRESH_MS = 5_000;
const FIRST_RETRY_MS = 500;

/** Keys that verify tokens, refreshed in the background. */
export interface Keys {
  get: JWTVerifyGetKey;
  /** Returns another object whenever the keys have changed. */
  set: () => object;
  close(): void;
}

async function fetchKeys(url: string): Promise<JSONWebKeySet> {
  const response = await fetch(url, { signal: AbortSignal.timeout(3_000) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  const set = (await response.json()) as JSONWebKeySet;
  if (set.keys.length === 0) throw new Error(`${url} holds no key`);
  return set;
}

/**
 * Fetches auth's public keys and refreshes them every few seconds. While auth is unavailable, the last valid
 * set remains in use, so signed-in users continue (R23). Resolves with the first set: before that, no token
 * can be verified.
 */
export async function remoteKeys(url: string, log: Log): Promise<Keys> {
  let current: { jwks: JSONWebKeySet; get: JWTVerifyGetKey } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  async function refresh(): Promise<void> {
    try {
      const jwks = await fetchKeys(url);
      if (isDeepStrictEqual(jwks, current?.jwks)) return;
      current = { jwks, get: createLocalJWKSet(jwks) };
    } catch (err) {
      log.warn({ err: (err as Error).message }, "keys not refreshed");
    }
  }

  async function keepFresh(): Promise<void> {
    await refresh();
    if (!closed) timer = setTimeout(() => void keepFresh(), REFRESH_MS).unref();
  }

  while (!current) {
    await refresh();
    if (!current) await new Promise((resolve) => setTimeout(resolve, FIRST_RETRY_MS));
  }
  timer = setTimeout(() => void keepFresh(), REFRESH_MS).unref();
  const known = () => current as NonNullable<typeof current>;
  return {
    get: (header, token) => known().get(header, token),
    set: () => known().jwks,
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
