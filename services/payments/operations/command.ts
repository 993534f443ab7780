import { balancesCommand } from "./balances-command.ts";
import { endpointCommand } from "./endpoint-command.ts";
import { reconcileCommand } from "./reconcile-command.ts";
import { refundEventCommand } from "./refund-event-command.ts";

// For operators, beside a running service. It needs payments' environment variables.

const help = `npm run payments -- <command>

  endpoint              checks that Stripe's webhook endpoints exist and send all events that we need
  compare [YYYY-MM-DD]  lists the differences between Stripe's balance and our ledger on a day (UTC),
                        yesterday by default
  balances [--mend]     lists the sellers' balances that differ from the ledger; with --mend they are
                        rebuilt
  refund-event --title <title> --venue <venue> --time <2027-06-01T19:00:00Z> [--yes]
  refund-event --ticket <id> [--ticket <id>]… [--yes]
                        refunds the payments of a cancelled event, or of these tickets; without --yes
                        it only lists them, and a title alone lists all events with that title`;

const commands: Readonly<Record<string, (args: string[]) => Promise<number | undefined>>> = {
  endpoint: endpointCommand,
  compare: reconcileCommand,
  balances: balancesCommand,
  "refund-event": refundEventCommand,
};

const [name = "", ...args] = process.argv.slice(2);
try {
  const exitCode = await commands[name]?.(args);
  if (exitCode === undefined) console.error(help);
  process.exit(exitCode ?? 2);
} catch (error) {
  console.error((error as Error).message); // The message only: Stripe's errors carry whole responses.
  process.exit(1);
}
