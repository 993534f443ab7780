import { dropSeenCode } from "./codes/attached-code.ts";
import { recordUpdate, statusWhenFree, type Ticket, type TicketFields } from "./ticket.ts";

/** What a ticket needs to know of an order. */
export interface Hold {
  orderId: string;
  buyerId: string;
  holdNumber: number;
  version: number;
  expiresAt: Date;
  state: "HELD" | "SOLD" | "FREE" | "REFUNDED";
}

const isNewer = (hold: Hold, ticket: TicketFields): boolean =>
  hold.holdNumber > ticket.holdNumber ||
  (hold.holdNumber === ticket.holdNumber && hold.version > ticket.holdVersion);

/**
 * Records that an order bought the ticket. A refund withdraws the ticket until its seller relists it,
 * also if a later hold is known already. Returns whether anything changed.
 */
function recordSale(ticket: Ticket, { orderId, holdNumber, state }: Hold): boolean {
  if (state !== "SOLD" && state !== "REFUNDED") return false;
  const isNew = !ticket.sales.includes(orderId);
  if (isNew) ticket.sales = [...ticket.sales, orderId].sort();
  if (state === "SOLD" || holdNumber <= ticket.refundedHold) return isNew;
  ticket.refundedHold = holdNumber;
  ticket.withdrawn = true;
  if (ticket.codeOpenedFor === orderId) dropSeenCode(ticket);
  if (ticket.status === "ON_SALE") ticket.status = "WITHDRAWN";
  return true;
}

/**
 * Applies the state of an order to its ticket (R31). Holds of one ticket are ordered by their number and
 * states of one hold by their version, so the greatest pair is the current state: an older event changes
 * nothing, in whatever order events arrive. Returns whether anything changed.
 */
export function applyHold(ticket: Ticket, hold: Hold): boolean {
  const isChanged = recordSale(ticket, hold);
  if (!isNewer(hold, ticket)) {
    if (isChanged) recordUpdate(ticket);
    return isChanged;
  }
  const holds = hold.state === "HELD" || hold.state === "SOLD";
  ticket.holdNumber = hold.holdNumber;
  ticket.holdVersion = hold.version;
  ticket.orderId = holds ? hold.orderId : undefined;
  ticket.heldUntil = hold.state === "HELD" ? hold.expiresAt : undefined;
  ticket.buyerId = holds ? hold.buyerId : undefined;
  if (hold.state === "HELD" || hold.state === "SOLD") ticket.status = hold.state;
  else ticket.status = statusWhenFree(ticket);
  recordUpdate(ticket);
  return true;
}
