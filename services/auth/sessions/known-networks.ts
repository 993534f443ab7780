import { createHmac } from "node:crypto";
import { Schema, type Connection } from "mongoose";
import { networkOf } from "#runtime/identity/client-network.ts";

interface PlaceFields {
  /** A hash of the account and the network: the database learns nobody's whereabouts. */
  _id: string;
  lastTime: Date;
}

/** So long after the last sign-in from there an address is known to the account. */
const KNOWN_SECONDS = 30 * 86_400;

const schema = new Schema<PlaceFields>(
  {
    _id: { type: String, required: true },
    lastTime: { type: Date, required: true, expires: KNOWN_SECONDS },
  },
  { versionKey: false },
);

export const placeModel = (db: Connection) => db.model("Place", schema, "places");

export interface KnownPlaces {
  has(account: string, address: string): Promise<boolean>;
  remember(account: string, address: string): Promise<void>;
}

/** From where the right password of an account was given of late. */
export function knownPlaces({
  places,
  key,
}: {
  places: ReturnType<typeof placeModel>;
  key: string;
}): KnownPlaces {
  const idOf = (account: string, address: string): string =>
    createHmac("sha256", key)
      .update(`place ${account} ${networkOf(address)}`)
      .digest("base64url");

  return {
    has: async (account, address) =>
      (await places.exists({ _id: idOf(account, address) })) !== null,
    async remember(account, address) {
      const _id = idOf(account, address);
      await places.updateOne({ _id }, { lastTime: new Date() }, { upsert: true });
    },
  };
}
