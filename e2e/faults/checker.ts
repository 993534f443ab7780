import { everySaleIsPaidOnce, ledgerAgreesWithStripe } from "./payment-invariants.ts";
import {
  everyLockedTicketHasAnOrder,
  nothingIsInProgress,
  noTicketIsHeldTwice,
  ordersHaveCurrentTickets,
  paymentsHaveCurrentOrders,
  ticketsHaveTheirHolds,
} from "./replica-invariants.ts";
import type { StoredState } from "./stored-state.ts";

/** What must hold when nothing is in progress, whatever faults there were before. */
const invariants: readonly ((state: StoredState) => Iterable<string>)[] = [
  nothingIsInProgress,
  ordersHaveCurrentTickets,
  ticketsHaveTheirHolds,
  paymentsHaveCurrentOrders,
  noTicketIsHeldTwice,
  everyLockedTicketHasAnOrder,
  everySaleIsPaidOnce,
  ledgerAgreesWithStripe,
];

/** The violations of all invariants, as sentences. */
export const violationsIn = (state: StoredState): string[] =>
  invariants.flatMap((invariant) => [...invariant(state)]);
