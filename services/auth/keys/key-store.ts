import { exportJWK, generateKeyPair, type JWK } from "jose";
import { z } from "zod";
import { ALGORITHM } from "#runtime/rpc/authentication.ts";
import { duplicateOf } from "#runtime/store/database.ts";
import { sealer, staged, type KeyFields, type KeyModel, type Stage } from "./key.ts";

const privateKey = z.looseObject({
  kid: z.string().min(1),
  kty: z.literal("EC"),
  crv: z.literal("P-256"),
  x: z.string(),
  y: z.string(),
  d: z.string(),
});
const keySet = z.object({ keys: z.array(privateKey).min(1) });
type PrivateKey = z.infer<typeof privateKey>;

/** Reads private keys that somebody made elsewhere: the first is to sign. */
export const readKeys = (json: string): PrivateKey[] => keySet.parse(JSON.parse(json)).keys;

async function makeKey(): Promise<PrivateKey> {
  const pair = await generateKeyPair(ALGORITHM, { extractable: true });
  return privateKey.parse({ ...(await exportJWK(pair.privateKey)), kid: crypto.randomUUID() });
}

/**
 * A new key is shown for so long before it signs: more than twice as long as the edge or a service
 * may take until it has asked for the keys again, a fetch that hangs included.
 */
const LEAD_MS = 120_000;

interface Options {
  model: KeyModel;
  sealingKey: string;
  /** How long an access token lives. */
  tokenSeconds: number;
  /** Keys to begin with, where there are none yet. */
  imported?: readonly PrivateKey[];
  leadMs?: number;
  now?: () => number;
}

export type KeyStore = ReturnType<typeof keyStore>;

/**
 * The keys in auth's database: one signs, the next is there already, and older ones are shown while
 * tokens of theirs live. Every change is one write that only one of several instances can make.
 */
export function keyStore(options: Options) {
  const { model, sealingKey, tokenSeconds, imported, leadMs = LEAD_MS, now = Date.now } = options;
  const keepMs = tokenSeconds * 1000 + 60_000; // Clocks differ, and some go on with what they have.
  const { seal, open } = sealer(sealingKey);

  const all = (): Promise<KeyFields[]> => model.find().sort({ sequence: 1 }).lean<KeyFields[]>();
  const waits = ({ withdrawTime, signsFrom }: KeyFields): boolean => !withdrawTime && !signsFrom;

  const entry = ({ kid, x, y, d }: PrivateKey, sequence: number, signsFrom?: Date): KeyFields => ({
    ...{ _id: kid, sequence, x, y, sealed: seal(kid, d), createTime: new Date(now()) },
    ...(signsFrom && { signsFrom }),
  });

  /** Adds keys, unless another instance has added one meanwhile. */
  async function add(entries: KeyFields[]): Promise<void> {
    await model.insertMany(entries).catch((error: unknown) => {
      if (duplicateOf(error) === undefined) throw error;
    });
  }

  /** Lets a waiting key sign from then on; false where another was quicker. */
  async function promote({ _id }: KeyFields, signsFrom: number): Promise<boolean> {
    const waiting = { _id, signsFrom: null, withdrawTime: null };
    const { modifiedCount } = await model.updateOne(waiting, { signsFrom: new Date(signsFrom) });
    return modifiedCount === 1;
  }

  /** Makes what is missing: a key that signs, and the next. */
  async function complete(): Promise<void> {
    for (;;) {
      const keys = await all();
      const next = keys.find(waits);
      const signing = keys.some((key) => key.signsFrom && !key.withdrawTime && key.sealed);
      if (signing && next) return;
      if (keys.length === 0) {
        const first = imported ?? [await makeKey()];
        const at = new Date(now());
        await add(first.map((key, i) => entry(key, i + 1, i === 0 ? at : undefined)));
      } else if (next) await promote(next, now());
      else await add([entry(await makeKey(), (keys.at(-1)?.sequence ?? 0) + 1)]);
    }
  }

  /** Lets the next key sign, as soon as everyone can have it; false where another instance did. */
  async function rotate(seen?: readonly KeyFields[]): Promise<boolean> {
    await complete();
    const next = (seen ?? (await all())).find(waits);
    const since = Math.max(now(), (next?.createTime.getTime() ?? 0) + leadMs);
    const done = next !== undefined && (await promote(next, since));
    await complete();
    return done;
  }

  return {
    complete,
    rotate: () => rotate(),
    open,
    list: async (): Promise<{ key: KeyFields; stage: Stage }[]> =>
      staged(await all(), now(), keepMs),

    /**
     * Takes a key out of use at once, with all its tokens; false for one that is not there. Where it
     * signs, the next one does from now on.
     */
    async withdraw(kid: string): Promise<boolean> {
      const listed = staged(await all(), now(), keepMs);
      const found = listed.find(({ key }) => key._id === kid);
      if (!found) return false;
      const next = listed.find(({ key, stage }) => stage === "next" && key._id !== kid)?.key;
      if (found.stage === "signs" && next) {
        await model.updateOne({ _id: next._id }, { signsFrom: new Date(now()) });
      }
      const gone = { $set: { withdrawTime: new Date(now()) }, $unset: { sealed: 1 } };
      await model.updateOne({ _id: kid, withdrawTime: null }, gone);
      await complete();
      return true;
    },

    /** Rotates when the newest key has signed for so long, and forgets private parts of old ones. */
    async tend(maxAgeMs: number): Promise<void> {
      const keys = await all();
      const newest = Math.max(...keys.map(({ signsFrom }) => signsFrom?.getTime() ?? 0));
      // Of what was seen to be old: or the next one but one would follow at once, by another instance.
      if (newest + maxAgeMs <= now()) await rotate(keys);
      const old = staged(keys, now(), keepMs).filter(({ stage }) => stage === "over");
      const ids = old.map(({ key }) => key._id);
      if (ids.length > 0) {
        await model.updateMany(
          { _id: { $in: ids }, sealed: { $ne: null } },
          { $unset: { sealed: 1 } },
        );
      }
    },
  };
}

/** The public half, as JWKS has it. */
export const publicHalf = ({ _id, x, y }: KeyFields): JWK => ({
  ...{ kid: _id, kty: "EC", crv: "P-256", x, y },
  ...{ alg: ALGORITHM, use: "sig" },
});
