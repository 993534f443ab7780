import { duplicateKeyIndex } from "#runtime/store/database.ts";
import { stageKeys, type StagedKey } from "./key-stage.ts";
import type { KeyFields, KeyModel } from "./key.ts";
import type { PrivateKey } from "./private-key.ts";
import { privateKeyCipher } from "./private-key-cipher.ts";

/** Added to a token's lifetime: clocks differ, and some verifiers cache the keys. */
const VERIFICATION_MARGIN_MS = 60_000;

interface Options {
  model: KeyModel;
  sealingKey: string;
  /** The lifetime of an access token. */
  tokenSeconds: number;
  now?: () => number;
}

/** The signing keys in auth's database. Each change is one write that only one instance can make. */
export function keyStore({ model, sealingKey, tokenSeconds, now = Date.now }: Options) {
  const verificationMs = tokenSeconds * 1000 + VERIFICATION_MARGIN_MS;
  const cipher = privateKeyCipher(sealingKey);

  return {
    now,

    /** All keys, in the order in which they were added. */
    all: (): Promise<KeyFields[]> => model.find().sort({ sequence: 1 }).lean<KeyFields[]>(),

    stages: (keys: readonly KeyFields[]): StagedKey[] => stageKeys(keys, now(), verificationMs),

    decrypt: ({ _id, sealed = "" }: KeyFields): string => cipher.decrypt(_id, sealed),

    /** The document of a private key. */
    encrypt: ({ kid, x, y, d }: PrivateKey, sequence: number, signsFrom?: Date): KeyFields => ({
      _id: kid,
      sequence,
      x,
      y,
      sealed: cipher.encrypt(kid, d),
      createTime: new Date(now()),
      ...(signsFrom && { signsFrom }),
    }),

    /** Adds keys, unless another instance has added some in the meantime. */
    async add(keys: KeyFields[]): Promise<void> {
      await model.insertMany(keys).catch((error: unknown) => {
        if (duplicateKeyIndex(error) === undefined) throw error;
      });
    },

    /** Lets a waiting key sign from a time on. False where another instance was faster. */
    async promote({ _id }: KeyFields, signsFrom: number): Promise<boolean> {
      const waiting = { _id, signsFrom: null, withdrawTime: null };
      const { modifiedCount } = await model.updateOne(waiting, { signsFrom: new Date(signsFrom) });
      return modifiedCount === 1;
    },

    /** Lets a key sign immediately, also where it was promoted for a later time. */
    async promoteNow({ _id }: KeyFields): Promise<void> {
      await model.updateOne({ _id }, { signsFrom: new Date(now()) });
    },

    /** Marks a key as withdrawn, and deletes its private part. */
    async withdraw(kid: string): Promise<void> {
      const withdrawal = { $set: { withdrawTime: new Date(now()) }, $unset: { sealed: 1 } };
      await model.updateOne({ _id: kid, withdrawTime: null }, withdrawal);
    },

    async deletePrivateParts(kids: readonly string[]): Promise<void> {
      if (kids.length === 0) return;
      const encrypted = { _id: { $in: kids }, sealed: { $ne: null } };
      await model.updateMany(encrypted, { $unset: { sealed: 1 } });
    },
  };
}
export type KeyStore = ReturnType<typeof keyStore>;
