import {
  createLocalJWKSet,
  importJWK,
  SignJWT,
  type CryptoKey,
  type JWK,
  type JWTVerifyGetKey,
} from "jose";
import { ALGORITHM } from "#runtime/rpc/authentication.ts";
import { isShown, type KeyFields } from "./key.ts";
import { publicHalf, type KeyStore } from "./key-store.ts";

/** What a new access token says. */
export interface Claims {
  userId: string;
  sessionId: string;
  roles: readonly string[];
  emailConfirmed: boolean;
}

export interface SigningKeys {
  /** What everyone may see, to check tokens with. */
  readonly published: { keys: JWK[] };
  check: JWTVerifyGetKey;
  /** Signs an access token; answers it with the time at which it stops working. */
  sign(claims: Claims): Promise<{ token: string; expiresAt: Date }>;
  /** Reads the keys again: another instance, or a command, may have changed them. */
  reload(): Promise<void>;
}

interface Options {
  store: KeyStore;
  issuer: string;
  audience: string;
  lifeSeconds: number;
}

interface Held {
  published: { keys: JWK[] };
  check: JWTVerifyGetKey;
  kid: string;
  secret: CryptoKey;
}

/** The keys of the store as this instance holds them: it goes on with them while the store is away. */
export async function signingKeys(options: Options): Promise<SigningKeys> {
  const { store, issuer, audience, lifeSeconds } = options;
  const secrets = new Map<string, CryptoKey>(); // One more a month: not worth forgetting.

  async function secretOf(key: KeyFields): Promise<CryptoKey> {
    const known = secrets.get(key._id);
    if (known) return known;
    const jwk = { ...publicHalf(key), d: open(key) };
    const secret = (await importJWK(jwk, ALGORITHM)) as CryptoKey;
    secrets.set(key._id, secret);
    return secret;
  }

  function open({ _id, sealed = "" }: KeyFields): string {
    try {
      return store.open(_id, sealed);
    } catch (cause) {
      const what = `SEALING_KEY does not open the signing key ${_id}`;
      throw new Error(`${what}: give the old one back, or withdraw the key`, { cause });
    }
  }

  async function read(): Promise<Held> {
    const listed = await store.list();
    const signing = listed.find(({ stage }) => stage === "signs")?.key;
    if (!signing) throw new Error("there is no signing key");
    const secret = await secretOf(signing);
    const shown = listed.filter(({ stage }) => isShown(stage)).map(({ key }) => publicHalf(key));
    const published = { keys: shown };
    return { published, check: createLocalJWKSet(published), kid: signing._id, secret };
  }

  await store.complete();
  let held = await read();
  return {
    get published() {
      return held.published;
    },
    check: (header, token) => held.check(header, token),
    async reload() {
      held = await read();
    },
    async sign({ userId, sessionId, roles, emailConfirmed }) {
      const { kid, secret } = held;
      const iat = Math.floor(Date.now() / 1000);
      const exp = iat + lifeSeconds;
      const token = await new SignJWT({ sid: sessionId, roles, email_verified: emailConfirmed })
        .setProtectedHeader({ alg: ALGORITHM, kid, typ: "JWT" })
        .setSubject(userId)
        .setIssuer(issuer)
        .setAudience(audience)
        .setIssuedAt(iat)
        .setExpirationTime(exp)
        .sign(secret);
      return { token, expiresAt: new Date(exp * 1000) };
    },
  };
}
