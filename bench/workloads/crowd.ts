import { OrderService } from "@ticketing/proto/orders/v1/order_service";
import { toOutcome, type Attempt, type Outcome } from "../load/load.ts";
import { attempts } from "../load/vegeta.ts";
import type { Marketplace } from "../setup/marketplace.ts";
import type { People } from "../setup/people.ts";
import type { Workload } from "../workload.ts";
import { addressOf, connectCall } from "./requests.ts";

/** The status of a refusal by the Connect protocol: FAILED_PRECONDITION. */
const REFUSED = "HTTP 400";

/**
 * The refusals of buyers who all press "Buy" on one ticket at the same moment. Exactly one of them must
 * get it: any other number is a failure.
 */
export function crowdOutcome(all: readonly Attempt[]): Outcome {
  const winners = all.filter(({ failure }) => failure === undefined);
  const others = all
    .filter(({ failure }) => failure !== undefined)
    .map((one) => (one.failure === REFUSED ? { ...one, failure: undefined } : one));
  const outcome = toOutcome(others);
  if (winners.length === 1) return outcome;
  return { ...outcome, failures: { ...outcome.failures, [`${winners.length} orders`]: 1 } };
}

export async function crowdOn(
  count: number,
  { url, settled }: Marketplace,
  people: People,
): Promise<Workload> {
  const buyers = await people.buyers(count);
  return {
    name: `crowd-${count}`,
    family: "crowd",
    title: `${count} buyers on one ticket, the refusals`,
    side: "ours",
    async prepare() {
      const [ticket] = await people.tickets(1);
      const targets = buyers.map(({ token }, i) =>
        connectCall(
          url,
          OrderService.method.createOrder,
          {
            ticketId: ticket?.id ?? "",
            ticketVersion: ticket?.version ?? 0n,
            requestId: crypto.randomUUID(),
          },
          { token, address: addressOf(i) },
        ),
      );
      const arrivals = { loop: "closed", connections: count } as const;
      return async () => crowdOutcome(await attempts(targets, { arrivals }));
    },
    settled,
  };
}
