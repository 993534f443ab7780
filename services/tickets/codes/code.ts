import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  TicketCodeOpenedSchema,
  TicketCodeSealedSchema,
} from "@ticketing/proto/tickets/v1/ticket_events";
import { record } from "#runtime/store/aggregate.ts";
import { updateAggregate } from "#runtime/store/plain-aggregate.ts";
import { CallError } from "#runtime/errors.ts";
import { TicketError, ticketNotFound } from "../errors.ts";
import { retryDelayMs, isRecentId } from "#runtime/store/ids.ts";
import { markCodeSeen } from "./attached-code.ts";
import { recordUpdate, type Ticket, type Tickets } from "../ticket.ts";
import { DAY_MS } from "#runtime/values/time.ts";

// The entry code (R9). A buyer who has seen it cannot request a refund by themselves, and a buyer who has
// requested a refund cannot see it. Both are decided on the ticket, so exactly one of them comes first:
// docs/decisions/0019-the-code-is-locked-before-the-refund.md.

function recordReveal(ticket: Ticket, orderId: string): void {
  const openTime = timestampFromDate(ticket.codeOpenTime ?? new Date());
  record(ticket, TicketCodeOpenedSchema, () => ({ ticketId: ticket._id, orderId, openTime }));
  recordUpdate(ticket); // Its version has changed, and replicas compare versions.
}

/** A request to reveal the code. */
export interface RevealRequest {
  userId: string;
  /** The order that the caller names; "" for none. */
  orderId: string;
  now: number;
}

/** The event of a sale may wait this long for the broker. */
const MAX_EVENT_DELAY_MS = DAY_MS;
/** The buyer may be paying right now. */
const UNPAID_MS = 500;

/** When to retry, if the caller may have bought the ticket and the event has not arrived yet. */
function retryAfterFor(
  ticket: Ticket,
  { userId, orderId, now }: RevealRequest,
): number | undefined {
  if (ticket.status === "HELD" && ticket.buyerId === userId) return UNPAID_MS;
  if (ticket.orderId === orderId || ticket.sales.includes(orderId)) return undefined;
  return isRecentId(orderId, now, MAX_EVENT_DELAY_MS) ? retryDelayMs(orderId, now) : undefined;
}

/** Reveals the code to the buyer of the ticket's order. Returns whether anything changed. */
export function revealCode(ticket: Ticket, request: RevealRequest): boolean {
  const { orderId, code } = ticket;
  if (ticket.status !== "SOLD" || ticket.buyerId !== request.userId || !orderId) {
    const retryAfterMs = retryAfterFor(ticket, request);
    if (retryAfterMs !== undefined) {
      throw new CallError(
        "NOT_READY",
        "the ticket is not paid yet, or the payment is still being processed",
        {
          retryAfterMs,
        },
      );
    }
    throw ticketNotFound();
  }
  // A code that the buyer of an earlier sale has seen is not for this one.
  const isStale = ticket.codeSeen && ticket.codeOpenedFor !== orderId;
  if (!code || isStale) throw new TicketError("CODE_NOT_FOUND", "the seller attached no code");
  if (ticket.codeSealedFor === orderId) {
    throw new TicketError("CODE_SEALED", "you have requested a refund");
  }
  if (ticket.codeOpenedFor === orderId) return false;
  ticket.codeOpenedFor = orderId;
  ticket.codeOpenTime = new Date(request.now);
  markCodeSeen(ticket, code);
  recordReveal(ticket, orderId);
  return true;
}

/**
 * Locks the code before a refund, unless the order's buyer has revealed it already. Payments learns which
 * of the two happened, each time that it asks. For an earlier order of the ticket the code cannot be
 * revealed anyway, so the lock of the current order stays. An order that is not known as one of this
 * ticket's gets an error, so that the event is retried.
 */
export function lockCode(ticket: Ticket, orderId: string): true {
  if (ticket.codeOpenedFor === orderId) {
    recordReveal(ticket, orderId);
    return true;
  }
  const hasIt = ticket.orderId === orderId;
  if (!hasIt && !ticket.sales.includes(orderId)) {
    throw new Error(`order ${orderId} is not, or not yet, one of ticket ${ticket._id}`);
  }
  if (hasIt) ticket.codeSealedFor = orderId;
  record(ticket, TicketCodeSealedSchema, () => ({ ticketId: ticket._id, orderId }));
  recordUpdate(ticket);
  return true;
}

/** Reveals the code of a ticket to the buyer of its order, and returns it. */
export async function openTicketCode(
  { tickets, now }: { tickets: Tickets; now: () => number },
  id: string,
  request: Omit<RevealRequest, "now">,
): Promise<string> {
  let code = "";
  const reveal = (ticket: Ticket): boolean => {
    const changed = revealCode(ticket, { ...request, now: now() });
    code = ticket.code ?? "";
    return changed;
  };
  if (!(await updateAggregate(tickets, id, reveal, "+code"))) throw ticketNotFound();
  return code;
}
