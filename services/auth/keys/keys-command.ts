import { parseConfig } from "#runtime/config.ts";
import { createLog } from "#runtime/log.ts";
import { connectDatabase } from "#runtime/store/database.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { authConfig } from "../config.ts";
import { keyModel } from "./key.ts";
import { keyRotation, type KeyRotation } from "./key-rotation.ts";
import { keyStore, type KeyStore } from "./key-store.ts";

// The operator's command for the signing keys, with or without a running auth. It needs auth's variables
// MONGODB_URI and SEALING_KEY.

const help = `npm run keys -- <command>

  list             lists the keys: which one signs, which one is next, and since when
  rotate           lets the next key sign once every verifier has it; nobody is signed out
  withdraw <kid>   withdraws a key: all its tokens stop working within 6 seconds`;

interface Keys {
  store: KeyStore;
  rotation: KeyRotation;
}

const format = (time: Date | undefined): string => time?.toISOString().slice(0, 19) ?? "-";

async function printKeys({ store }: Keys): Promise<void> {
  for (const { key, stage } of store.stages(await store.all())) {
    const { _id, createTime, signsFrom } = key;
    const times = `created ${format(createTime)}  signs from ${format(signsFrom)}`;
    console.log(`${_id.padEnd(36)}  ${stage.padEnd(9)}  ${times}`);
  }
}

/** Runs a command, and returns the exit code. */
async function run(keys: Keys, [command, kid]: string[]): Promise<number> {
  if (command === "rotate") {
    if (!(await keys.rotation.rotate()))
      console.error("Another process has just rotated the keys.");
  } else if (command === "withdraw" && kid) {
    if (!(await keys.rotation.withdraw(kid))) {
      console.error(`There is no key ${kid}.`);
      return 1;
    }
  } else if (command !== "list") {
    console.error(help);
    return 2;
  }
  await printKeys(keys);
  return 0;
}

const variables = { MONGODB_URI: true, SEALING_KEY: true, ACCESS_TOKEN_SECONDS: true } as const;
const config = parseConfig(authConfig.pick(variables), process.env);
const db = await connectDatabase(config.MONGODB_URI, createLog("keys", "warn"));
const model = keyModel(db);
await buildIndexes(model);
const store = keyStore({
  model,
  sealingKey: config.SEALING_KEY,
  tokenSeconds: config.ACCESS_TOKEN_SECONDS,
});
process.exit(await run({ store, rotation: keyRotation({ store }) }, process.argv.slice(2)));
