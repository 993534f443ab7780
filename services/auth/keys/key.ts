import { Schema, type Connection } from "mongoose";

export interface KeyFields {
  /** The `kid`. */
  _id: string;
  /** 1, 2, 3 …: unique, so that only one of several instances can add the next key. */
  sequence: number;
  x: string;
  y: string;
  /** The private part, encrypted under SEALING_KEY. Deleted once it is no longer needed. */
  sealed?: string | undefined;
  createTime: Date;
  /** When the key starts to sign. Absent while it waits to be the next one. */
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
