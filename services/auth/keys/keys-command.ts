import { parseConfig } from "#runtime/config.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { createLog } from "#runtime/log.ts";
import { connectDatabase } from "#runtime/store/database.ts";
import { authConfig } from "../config.ts";
import { keyModel } from "./key.ts";
import { keyStore, type KeyStore } from "./key-store.ts";

// For the people who look after it, beside a running auth or without one. It needs auth's own
// environment: MONGODB_URI and SEALING_KEY.

const help = `npm run keys -- <command>

  list             the keys: which one signs, which is next, and since when
  rotate           the next key signs, once everyone has it; nobody is signed out
  withdraw <kid>   this key and all its tokens stop working within 6 seconds`;

const when = (time: Date | undefined): string => time?.toISOString().slice(0, 19) ?? "-";

async function show(store: KeyStore): Promise<void> {
  for (const { key, stage } of await store.list()) {
    const { _id, createTime, signsFrom } = key;
    const since = `made ${when(createTime)}  signs from ${when(signsFrom)}`;
    console.log(`${_id.padEnd(36)}  ${stage.padEnd(9)}  ${since}`);
  }
}

/** What the command's exit code is to be. */
async function run(store: KeyStore, [command, kid]: string[]): Promise<number> {
  if (command === "rotate") {
    if (!(await store.rotate())) console.error("Somebody else has just rotated them.");
  } else if (command === "withdraw" && kid) {
    if (!(await store.withdraw(kid))) {
      console.error(`There is no key ${kid}.`);
      return 1;
    }
  } else if (command !== "list") {
    console.error(help);
    return 2;
  }
  await show(store);
  return 0;
}

const needed = { MONGODB_URI: true, SEALING_KEY: true, ACCESS_TOKEN_SECONDS: true } as const;
const config = parseConfig(authConfig.pick(needed), process.env);
const db = await connectDatabase(config.MONGODB_URI, createLog("keys", "warn"));
const model = keyModel(db);
await buildIndexes(model);
const { SEALING_KEY: sealingKey, ACCESS_TOKEN_SECONDS: tokenSeconds } = config;
process.exit(await run(keyStore({ model, sealingKey, tokenSeconds }), process.argv.slice(2)));
