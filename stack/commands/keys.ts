import { runServiceCommand } from "./service-command.ts";

// `npm run keys` runs auth's own command on the marketplace that `npm start` runs from this folder, or
// on the database that the environment names.

await runServiceCommand({
  module: "services/auth/keys/keys-command.ts",
  of({ databases: { auth }, sealingKey }) {
    return auth ? { MONGODB_URI: auth, SEALING_KEY: sealingKey } : undefined;
  },
  given: ["MONGODB_URI", "SEALING_KEY"],
  otherwise: "Nothing runs here: run npm start, or give auth's MONGODB_URI and SEALING_KEY.",
});
