import { runServiceCommand } from "./service-command.ts";

// `npm run administrator -- <email>`: makes an account of the marketplace that `npm start` has up an
// administrator's.

await runServiceCommand({
  module: "services/auth/administrator.ts",
  of: ({ databases: { auth } }) => (auth ? { MONGODB_URI: auth } : undefined),
  otherwise: "Nothing is running from this folder: run npm start first.",
});
