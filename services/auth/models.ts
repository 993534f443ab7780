import type { Connection } from "mongoose";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { claimAnswerModel } from "./accounts/claims.ts";
import { keyModel } from "./keys/key.ts";
import { mailModel } from "./mail/mail.ts";
import { sessionModel } from "./sessions/session.ts";
import { trustedNetworkModel } from "./sign-in/trusted-networks.ts";
import { userModel } from "./user.ts";

/** The collections of auth's database. Resolves once all indexes are built. */
export async function openModels(db: Connection) {
  const models = {
    users: userModel(db),
    sessions: sessionModel(db),
    trustedNetworks: trustedNetworkModel(db),
    mails: mailModel(db),
    claimAnswers: claimAnswerModel(db),
    keys: keyModel(db),
  };
  await buildIndexes(...Object.values(models));
  return models;
}
