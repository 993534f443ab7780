import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import { AccountService } from "@ticketing/proto/auth/v1/account_service";
import { AuthService } from "@ticketing/proto/auth/v1/auth_service";
import { OrderService } from "@ticketing/proto/orders/v1/order_service";
import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import type { EdgeConfig, EdgeVariable } from "./edge-config.ts";

// The edge's rate limits: a class for each method, and the limits of each class.

/** An office, a school or a mobile network's gateway may be many people. */
const ACCOUNTS_PER_NETWORK = 10;

/** The classes, with the variable of each: the calls that are accepted in a minute. */
const limits = {
  /** Calls that try a password, a code or an address. The variable is the limit of a network. */
  attempt: { variable: "EDGE_ATTEMPTS_PER_MINUTE", perAccount: false },
  /** New orders, each of which takes a ticket off the market. The variable is the limit of a network. */
  hold: { variable: "EDGE_HOLDS_PER_MINUTE", perAccount: false },
  /** Calls that need Stripe. */
  payment: { variable: "EDGE_PAYMENTS_PER_MINUTE", perAccount: true },
  write: { variable: "EDGE_WRITES_PER_MINUTE", perAccount: true },
  /** Searches and exports, each of which reads much more than one document. */
  search: { variable: "EDGE_SEARCHES_PER_MINUTE", perAccount: true },
  read: { variable: "EDGE_READS_PER_MINUTE", perAccount: true },
  /** The storefront's pages and forms; not its files. The variable is the limit of a network. */
  page: { variable: "EDGE_PAGES_PER_MINUTE", perAccount: false },
} as const satisfies Record<string, { variable: EdgeVariable; perAccount: boolean }>;

export type CallClass = keyof typeof limits;

const all: readonly CallClass[] = Object.keys(limits) as CallClass[];

const listed = new Map<DescMethod, CallClass>([
  [AuthService.method.signUp, "attempt"],
  [AuthService.method.signIn, "attempt"],
  [AuthService.method.refreshSession, "attempt"],
  [OrderService.method.createOrder, "hold"],
  [TicketService.method.listTickets, "search"],
  [TicketService.method.exportTickets, "search"],
  [AccountService.method.exportAccount, "search"],
]);

/** A method that is not listed counts by what it does, so that a new one has a limit from the start. */
export function classOf(method: DescMethod): CallClass {
  const known = listed.get(method);
  if (known) return known;
  if (method.idempotency === Idempotency.NO_SIDE_EFFECTS) return "read";
  if (method.parent === AccountService) return "attempt";
  return method.parent.typeName.startsWith("ticketing.payments.") ? "payment" : "write";
}

/** An entry of Envoy's `descriptors`: each value of the second key has a bucket of its own. */
const bucket = (of: CallClass, key: string, perMinute: number) => ({
  entries: [{ key: "class", value: of }, { key }],
  token_bucket: { max_tokens: perMinute, tokens_per_fill: perMinute, fill_interval: "60s" },
});

const perMinute = (config: EdgeConfig, of: CallClass): number => config[limits[of].variable];

/** The limits of each network: an IPv4 address, or the /64 of an IPv6 address. */
export const networkLimits = (config: EdgeConfig) =>
  all.map((of) => {
    const factor = limits[of].perAccount ? ACCOUNTS_PER_NETWORK : 1;
    return bucket(of, "masked_remote_address", factor * perMinute(config, of));
  });

/**
 * The limits of each account, whatever networks its calls come from. Calls of methods that are open to
 * everyone count for their network alone: their tokens are not verified here.
 */
export const accountLimits = (config: EdgeConfig) =>
  all
    .filter((of) => limits[of].perAccount)
    .map((of) => bucket(of, "account", perMinute(config, of)));
