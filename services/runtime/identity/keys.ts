import { createLocalJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";
import type { Log } from "../log.ts";

/**
 * Auth knows within a second that a key was withdrawn, and so it stops working here within six.
 * The edge asks as often: envoy.yaml, cache_duration.
 */
const REFRESH_MS = 5_000;
const FIRST_RETRY_MS = 500;

/** Keys to check tokens with, kept fresh in the background. */
export interface Keys {
  get: JWTVerifyGetKey;
  close(): void;
}

async function fetchKeys(url: string): Promise<JWTVerifyGetKey> {
  const response = await fetch(url, { signal: AbortSignal.timeout(3_000) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  const set = (await response.json()) as JSONWebKeySet;
  if (set.keys.length === 0) throw new Error(`${url} holds no key`);
  return createLocalJWKSet(set);
}

/**
 * Fetches auth's public keys and refreshes them every few seconds. The last good set stays when auth is
 * down, so signed-in users go on (R23); resolves with the first set, before which nobody could be
 * told from a stranger.
 */
export async function remoteKeys(url: string, log: Log): Promise<Keys> {
  let current: JWTVerifyGetKey | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  async function refresh(): Promise<void> {
    try {
      current = await fetchKeys(url);
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
  return {
    get: (header, token) => (current as JWTVerifyGetKey)(header, token),
    close() {
      closed = true;
      clearTimeout(timer);
    },
  };
}
