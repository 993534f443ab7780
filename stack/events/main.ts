import { parseArguments } from "./arguments.ts";
import { findBroker } from "./broker.ts";
import { CliError } from "./cli-error.ts";
import { commands, note, print } from "./commands.ts";

// `npm run events`, for operators. docs/operations.md explains its output.

// The reader of the output can end first: `npm run events -- tail | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  process.exit(error.code === "EPIPE" ? 0 : 1);
});

try {
  const request = parseArguments(process.argv.slice(2));
  if ("help" in request) print(request.help);
  else await commands[request.command](await findBroker(process.env), request);
  process.exitCode = 0;
} catch (error) {
  note(error instanceof CliError ? error.message : String((error as Error).stack));
  process.exitCode = error instanceof CliError ? error.exitCode : 1;
}
