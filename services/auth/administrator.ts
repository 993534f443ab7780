import { UserUpdatedSchema } from "@ticketing/proto/auth/v1/user_events";
import mongoose from "mongoose";
import { z } from "zod";
import { record, update } from "#runtime/store/aggregate.ts";
import { parseConfig, storeConfig } from "#runtime/config.ts";
import { sessionModel } from "./sessions/session.ts";
import { emailKey, toState, userModel } from "./user.ts";

// `node services/auth/administrator.ts <email>`: makes an account an administrator's. There is no
// other way to the first one: no password comes with the software.

const { MONGODB_URI } = parseConfig(z.object(storeConfig), process.env);
const email = process.argv[2];
if (!email) {
  console.error("Say whose: node services/auth/administrator.ts <email>");
  process.exit(2);
}

const db = await mongoose
  .createConnection(MONGODB_URI, { w: "majority", journal: true, serverSelectionTimeoutMS: 5_000 })
  .asPromise();
try {
  process.exitCode = await makeAdministrator(email);
} finally {
  await db.close();
}

async function makeAdministrator(address: string): Promise<number> {
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
    record(found, UserUpdatedSchema, () => ({ user: toState(found) }));
    return changed;
  });
  if (!changed) {
    console.log(`${address} (${account._id}) is an administrator already. Nothing was done.`);
    return 0;
  }
  // Roles are in the token: the next one, after signing in again, has the new role.
  const { deletedCount } = await sessionModel(db).deleteMany({ userId: account._id });
  console.log(
    `${address} (${account._id}, version ${user?.version}) is an administrator now. ` +
      `Ended ${deletedCount} session${deletedCount === 1 ? "" : "s"}: sign in again.`,
  );
  return 0;
}
