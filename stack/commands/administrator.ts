import { runServiceCommand } from "./service-command.ts";

// `npm run administrator -- <email>` makes an account an administrator, in the marketplace that
// `npm start` runs from this folder.

await runServiceCommand({
  module: "services/auth/administrator.ts",
  of: ({ databases: { auth } }) => (auth ? { MONGODB_URI: auth } : undefined),
  otherwise: "Nothing is running from this folder: run npm start first.",
});
