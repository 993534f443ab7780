import { createHmac } from "node:crypto";
import { Schema, type Connection } from "mongoose";
import { networkOf } from "#runtime/identity/client-network.ts";

interface TrustedNetworkFields {
  /** An HMAC of the account and the client network, so that the database reveals no location. */
  _id: string;
  lastTime: Date;
}

/** How long a network is trusted after the last sign-in from it. */
const TRUST_SECONDS = 30 * 86_400;

const schema = new Schema<TrustedNetworkFields>(
  {
    _id: { type: String, required: true },
    lastTime: { type: Date, required: true, expires: TRUST_SECONDS },
  },
  { versionKey: false },
);

export const trustedNetworkModel = (db: Connection) => db.model("Place", schema, "places");

export interface TrustedNetworks {
  isTrusted(account: string, clientAddress: string): Promise<boolean>;
  trust(account: string, clientAddress: string): Promise<void>;
}

interface Options {
  model: ReturnType<typeof trustedNetworkModel>;
  key: string;
}

/** The client networks from which an account has recently signed in. */
export function trustedNetworks({ model, key }: Options): TrustedNetworks {
  const idOf = (account: string, clientAddress: string): string =>
    createHmac("sha256", key)
      .update(`place ${account} ${networkOf(clientAddress)}`)
      .digest("base64url");

  return {
    async isTrusted(account, clientAddress) {
      return (await model.exists({ _id: idOf(account, clientAddress) })) !== null;
    },
    async trust(account, clientAddress) {
      const _id = idOf(account, clientAddress);
      await model.updateOne({ _id }, { lastTime: new Date() }, { upsert: true });
    },
  };
}
