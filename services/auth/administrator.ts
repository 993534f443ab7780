import { UserUpdatedSchema } from "@ticketing/proto/auth/v1/user_events";
import mongoose, { type Connection } from "mongoose";
import { z } from "zod";
import { parseConfig, storeConfig } from "#runtime/config.ts";
import { record, update } from "#runtime/store/aggregate.ts";
import { emailKey } from "./email-address.ts";
import { sessionModel } from "./sessions/session.ts";
import { toUserState } from "./user-message.ts";
import { userModel } from "./user.ts";

// `node services/auth/administrator.ts <email>` makes an account an administrator's. This is the only way
// to create the first administrator: the software contains no default password.

/** Adds the role to an account, ends its sessions, and returns the exit code. */
async function makeAdministrator(db: Connection, address: string): Promise<number> {
  const users = userModel(db);
  const account = await users.exists({
    emailKey: emailKey(address),
    status: { $ne: "DELETED" },
  });
  if (!account) {
    console.error(`There is no account with the address ${address}; sign up first.`);
    return 1;
  }
  let changed = false;
  const user = await update(users, account._id, (found) => {
    changed = found.status !== "DELETED" && !found.roles.includes("ADMINISTRATOR");
    if (!changed) return changed;
    found.roles.push("ADMINISTRATOR");
    record(found, UserUpdatedSchema, () => ({ user: toUserState(found) }));
    return changed;
  });
  if (!changed) {
    console.log(`${address} (${account._id}) is an administrator already. Nothing was done.`);
    return 0;
  }
  // Access tokens carry the roles, so the user has to sign in again for the new one.
  const { deletedCount } = await sessionModel(db).deleteMany({ userId: account._id });
  console.log(
    `${address} (${account._id}, version ${user?.version}) is an administrator now. ` +
      `Ended ${deletedCount} session${deletedCount === 1 ? "" : "s"}: sign in again.`,
  );
  return 0;
}

const { MONGODB_URI } = parseConfig(z.object(storeConfig), process.env);
const email = process.argv[2];
if (!email) {
  console.error("Usage: node services/auth/administrator.ts <email>");
  process.exit(2);
}

const db = await mongoose
  .createConnection(MONGODB_URI, { w: "majority", journal: true, serverSelectionTimeoutMS: 5_000 })
  .asPromise();
try {
  process.exitCode = await makeAdministrator(db, email);
} finally {
  await db.close();
}
