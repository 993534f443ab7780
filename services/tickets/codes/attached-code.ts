import { createHash } from "node:crypto";
import { TicketError } from "../errors.ts";
import type { TicketFields } from "../ticket.ts";

// A code never outlives its sale: anyone who has seen it can enter with it, so it is sold once.

/** The fields of a ticket that are about its present and earlier codes. */
type TicketCode = Pick<
  TicketFields,
  "code" | "hasCode" | "codeSeen" | "seenCodes" | "needsNewCode" | "codeOpenedFor"
>;

const digest = (code: string): string =>
  createHash("sha256").update(code.trim()).digest("base64url");

const isSeen = (ticket: TicketCode, code: string): boolean =>
  ticket.seenCodes.includes(digest(code)) ||
  (ticket.codeSeen && ticket.code?.trim() === code.trim());

/** Attaches the seller's code; an empty one removes it. */
export function attachCode(ticket: TicketCode, code: string): void {
  if (code !== "" && isSeen(ticket, code)) {
    throw new TicketError("CODE_ALREADY_SEEN", "a buyer of an earlier sale has seen this code");
  }
  ticket.code = code;
  ticket.hasCode = code !== "";
  ticket.codeSeen = false;
  ticket.needsNewCode = false;
}

/** Records that the buyer has seen the code. */
export function markCodeSeen(ticket: TicketCode, code: string): void {
  ticket.codeSeen = true;
  if (!ticket.seenCodes.includes(digest(code))) ticket.seenCodes.push(digest(code));
}

/** Removes a seen code when its sale is refunded. */
export function dropSeenCode(ticket: TicketCode): void {
  if (!ticket.codeSeen) return;
  ticket.code = "";
  ticket.hasCode = false;
  ticket.codeSeen = false;
  ticket.needsNewCode = true;
}
