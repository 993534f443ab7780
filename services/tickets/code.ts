import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  TicketCodeOpenedSchema,
  TicketCodeSealedSchema,
} from "@ticketing/proto/tickets/v1/ticket_events";
import { record } from "#runtime/store/aggregate.ts";
import { CallError } from "#runtime/errors.ts";
import { TicketError } from "./errors.ts";
import { retryDelayMs, isRecentId } from "#runtime/store/ids.ts";
import { markSeen } from "./attached-code.ts";
import { recordUpdate, type Ticket } from "./ticket.ts";

// The code that opens the door (R9). Once its buyer has seen it, they cannot give the ticket back by
// themselves; once they have asked for their money, they cannot see it. The ticket is the one place
// where both meet, so exactly one of them comes first; see
// docs/decisions/0019-the-code-is-locked-before-the-refund.md.

function tellOpened(ticket: Ticket, orderId: string): void {
  const openTime = timestampFromDate(ticket.codeOpenTime ?? new Date());
  record(ticket, TicketCodeOpenedSchema, () => ({ ticketId: ticket._id, orderId, openTime }));
  recordUpdate(ticket); // Its version has changed, and those who copy it go by that.
}

/** Who opens a code, and the order by which they say that they have bought the ticket. */
export interface Opening {
  userId: string;
  /** "" where they do not say. */
  orderId: string;
  now: number;
}

/** News of a sale may wait this long for a broker. */
const NEWS_TRAVELS_MS = 86_400_000;
/** Its buyer may not have paid yet, or just now. */
const UNPAID_MS = 500;

/** When to ask again, where the caller may have bought the ticket and we have not heard of it yet. */
function notHeardFor(ticket: Ticket, { userId, orderId, now }: Opening): number | undefined {
  if (ticket.status === "HELD" && ticket.buyerId === userId) return UNPAID_MS;
  if (ticket.orderId === orderId || ticket.sales.includes(orderId)) return undefined;
  return isRecentId(orderId, now, NEWS_TRAVELS_MS) ? retryDelayMs(orderId, now) : undefined;
}

/** The buyer of the ticket's order opens the code. Answers whether that changes anything. */
export function openCode(ticket: Ticket, opening: Opening): boolean {
  const { orderId, code } = ticket;
  if (ticket.status !== "SOLD" || ticket.buyerId !== opening.userId || !orderId) {
    const retryAfterMs = notHeardFor(ticket, opening);
    if (retryAfterMs !== undefined) {
      throw new CallError("NOT_READY", "the ticket is not paid, or we have not heard of it yet", {
        retryAfterMs,
      });
    }
    throw new TicketError("TICKET_NOT_FOUND", "there is no such ticket");
  }
  // Seen by the buyer of an earlier sale, of whose end we have not heard yet, it is not for this one.
  const isStale = ticket.codeSeen && ticket.codeOpenedFor !== orderId;
  if (!code || isStale) throw new TicketError("CODE_NOT_FOUND", "the seller attached no code");
  if (ticket.codeSealedFor === orderId) {
    throw new TicketError("CODE_SEALED", "you have asked for your money back");
  }
  if (ticket.codeOpenedFor === orderId) return false;
  ticket.codeOpenedFor = orderId;
  ticket.codeOpenTime = new Date(opening.now);
  markSeen(ticket, code);
  tellOpened(ticket, orderId);
  return true;
}

/**
 * The buyer of an order wants their money back: from now on the code opens no more for them, unless
 * they have opened it already. Which of the two, payments is told each time that it asks. The seal of
 * the order that has the ticket now stays, whatever is asked for an earlier one, for which the code
 * opens no more anyway. An order that was never this ticket's, or of which we have not heard yet, is
 * not answered for.
 */
export function sealCode(ticket: Ticket, orderId: string): true {
  if (ticket.codeOpenedFor === orderId) {
    tellOpened(ticket, orderId);
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
