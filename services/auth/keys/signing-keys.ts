import { isDeepStrictEqual } from "node:util";
import { createLocalJWKSet, importJWK, type CryptoKey, type JWK, type JWTVerifyGetKey } from "jose";
import { ALGORITHM } from "#runtime/identity/tokens.ts";
import type { Service } from "#runtime/service.ts";
import type { AuthConfig } from "../config.ts";
import {
  signAccessToken,
  type AccessToken,
  type AccessTokenClaims,
  type TokenIssuer,
} from "./access-token.ts";
import { keyRotation, type KeyRotation } from "./key-rotation.ts";
import { isPublished } from "./key-stage.ts";
import { keyStore, type KeyStore } from "./key-store.ts";
import type { KeyFields, KeyModel } from "./key.ts";
import { parsePrivateKeys, toPublicJwk } from "./private-key.ts";
import { DAY_MS } from "#runtime/values/time.ts";

export interface SigningKeys {
  /** The public keys, with which everyone can verify tokens: the same object until a key changes. */
  readonly jwks: { keys: JWK[] };
  getKey: JWTVerifyGetKey;
  sign(claims: AccessTokenClaims): Promise<AccessToken>;
  /** Reads the keys again: another instance, or a command, may have changed them. */
  reload(): Promise<void>;
}

interface Options extends TokenIssuer {
  store: KeyStore;
  rotation: Pick<KeyRotation, "ensureKeys">;
}

interface LoadedKeys {
  jwks: { keys: JWK[] };
  getKey: JWTVerifyGetKey;
  kid: string;
  privateKey: CryptoKey;
}

function decrypt(store: KeyStore, key: KeyFields): string {
  try {
    return store.decrypt(key);
  } catch (cause) {
    const problem = `SEALING_KEY does not decrypt the signing key ${key._id}`;
    throw new Error(`${problem}: restore the previous SEALING_KEY, or withdraw the key`, { cause });
  }
}

/** Imports private keys, each one once. The cache grows by one key a month, so it needs no eviction. */
function privateKeyCache(store: KeyStore) {
  const imported = new Map<string, CryptoKey>();
  return async (key: KeyFields): Promise<CryptoKey> => {
    const known = imported.get(key._id);
    if (known) return known;
    const jwk = { ...toPublicJwk(key), d: decrypt(store, key) };
    const privateKey = (await importJWK(jwk, ALGORITHM)) as CryptoKey;
    imported.set(key._id, privateKey);
    return privateKey;
  };
}

/** The keys of the store in this instance's memory, which it uses while the database is down. */
export async function signingKeys({ store, rotation, ...issuer }: Options): Promise<SigningKeys> {
  const privateKeyOf = privateKeyCache(store);

  async function load(): Promise<LoadedKeys> {
    const listed = store.stages(await store.all());
    const signing = listed.find(({ stage }) => stage === "signs")?.key;
    if (!signing) throw new Error("there is no signing key");
    const privateKey = await privateKeyOf(signing);
    const jwks = { keys: listed.filter(isPublished).map(({ key }) => toPublicJwk(key)) };
    return { jwks, getKey: createLocalJWKSet(jwks), kid: signing._id, privateKey };
  }

  await rotation.ensureKeys();
  let loaded = await load();
  return {
    get jwks() {
      return loaded.jwks;
    },
    getKey: (header, token) => loaded.getKey(header, token),
    sign: (claims) => signAccessToken(claims, loaded, issuer),
    async reload() {
      const { jwks } = loaded;
      const next = await load();
      loaded = isDeepStrictEqual(next.jwks, jwks) ? { ...next, jwks } : next;
    },
  };
}

/** Starts the signing keys of a service: they are reloaded every second, and rotated by their age. */
export async function startSigningKeys(
  service: Service,
  model: KeyModel,
  config: AuthConfig,
): Promise<SigningKeys> {
  const { SEALING_KEY: sealingKey, ACCESS_TOKEN_SECONDS: tokenSeconds } = config;
  const store = keyStore({ model, sealingKey, tokenSeconds });
  const imported = config.SIGNING_KEYS ? parsePrivateKeys(config.SIGNING_KEYS) : undefined;
  const rotation = keyRotation({ store, imported });
  const keys = await signingKeys({
    store,
    rotation,
    issuer: config.TOKEN_ISSUER,
    audience: config.TOKEN_AUDIENCE,
    lifetimeSeconds: tokenSeconds,
  });
  service.every(1, "reloading the signing keys", () => keys.reload());
  service.every(60, "maintaining the signing keys", () =>
    rotation.maintain(config.KEY_DAYS * DAY_MS),
  );
  return keys;
}
