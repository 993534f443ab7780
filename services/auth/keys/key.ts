import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { Schema, type Connection } from "mongoose";

export interface KeyFields {
  /** Its `kid`. */
  _id: string;
  /** 1, 2, 3 …: unique, so that of instances that make the next key at the same moment one does. */
  sequence: number;
  x: string;
  y: string;
  /** The private part, which nobody can read without SEALING_KEY; gone when it is needed no more. */
  sealed?: string | undefined;
  createTime: Date;
  /** From when on it signs; absent while it waits to be the next. */
  signsFrom?: Date | undefined;
  withdrawTime?: Date | undefined;
}

const schema = new Schema<KeyFields>(
  {
    _id: { type: String, required: true },
    sequence: { type: Number, required: true, unique: true },
    x: { type: String, required: true },
    y: { type: String, required: true },
    sealed: String,
    createTime: { type: Date, required: true },
    signsFrom: Date,
    withdrawTime: Date,
  },
  { versionKey: false },
);

export const keyModel = (db: Connection) => db.model("Key", schema, "keys");
export type KeyModel = ReturnType<typeof keyModel>;

/**
 * Where a key is in its life. It is shown from the beginning, so that everyone has it before it
 * signs, and for as long as a token that it has signed may live.
 */
export type Stage = "next" | "signs" | "checks" | "over" | "withdrawn";

export const isShown = (stage: Stage): boolean => !["over", "withdrawn"].includes(stage);

/** The stage of each key at a time. It needs no more than the clock: all instances find the same. */
export function staged(
  keys: readonly KeyFields[],
  now: number,
  keepMs: number,
): { key: KeyFields; stage: Stage }[] {
  const since = ({ signsFrom }: KeyFields): number => signsFrom?.getTime() ?? Infinity;
  const inOrder = keys.toSorted((a, b) => since(a) - since(b) || a.sequence - b.sequence);
  const able = inOrder.filter(({ withdrawTime, sealed }) => !withdrawTime && sealed);
  // After a withdrawal the clock that made the next one sign may be a little ahead of ours.
  const signing = able.findLast((key) => since(key) <= now) ?? able[0];

  return inOrder.map((key, i) => {
    const successor = inOrder[i + 1];
    const stage = (): Stage => {
      if (key.withdrawTime) return "withdrawn";
      if (key === signing) return "signs";
      if (since(key) > now) return "next";
      return successor && since(successor) + keepMs > now ? "checks" : "over";
    };
    return { key, stage: stage() };
  });
}

/** Closes and opens private parts under a secret of the environment. */
export function sealer(sealingKey: string) {
  const secret = Buffer.from(hkdfSync("sha256", sealingKey, "", "ticketing signing keys", 32));
  return {
    seal(kid: string, d: string): string {
      const iv = randomBytes(12);
      const cipher = createCipheriv("aes-256-gcm", secret, iv).setAAD(Buffer.from(kid));
      const text = Buffer.concat([cipher.update(d, "utf8"), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), text]).toString("base64url");
    },
    open(kid: string, sealed: string): string {
      const all = Buffer.from(sealed, "base64url");
      const decipher = createDecipheriv("aes-256-gcm", secret, all.subarray(0, 12))
        .setAAD(Buffer.from(kid))
        .setAuthTag(all.subarray(12, 28));
      return Buffer.concat([decipher.update(all.subarray(28)), decipher.final()]).toString("utf8");
    },
  };
}
