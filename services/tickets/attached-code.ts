import { createHash } from "node:crypto";
import { TicketError } from "./errors.ts";
import type { TicketFields } from "./ticket.ts";

// A code never outlives its sale: whoever has seen it can walk in with it, so it is sold once.

/** What a ticket remembers of its code, and of those that it had. */
type Coded = Pick<
  TicketFields,
  "code" | "hasCode" | "codeSeen" | "seenCodes" | "needsNewCode" | "codeOpenedFor"
>;

const digest = (code: string): string =>
  createHash("sha256").update(code.trim()).digest("base64url");

const isSeen = (ticket: Coded, code: string): boolean =>
  ticket.seenCodes.includes(digest(code)) ||
  (ticket.codeSeen && ticket.code?.trim() === code.trim());

/** The seller says what opens the door from now on; an empty code says that nothing does. */
export function attachCode(ticket: Coded, code: string): void {
  if (code !== "" && isSeen(ticket, code)) {
    throw new TicketError("CODE_ALREADY_SEEN", "a buyer of an earlier sale has seen this code");
  }
  ticket.code = code;
  ticket.hasCode = code !== "";
  ticket.codeSeen = false;
  ticket.needsNewCode = false;
}

/** The buyer sees the code. */
export function markSeen(ticket: Coded, code: string): void {
  ticket.codeSeen = true;
  if (!ticket.seenCodes.includes(digest(code))) ticket.seenCodes.push(digest(code));
}

/** The sale whose buyer has seen the code is undone, and the code goes with it. */
export function dropSeenCode(ticket: Coded): void {
  if (!ticket.codeSeen) return;
  ticket.code = "";
  ticket.hasCode = false;
  ticket.codeSeen = false;
  ticket.needsNewCode = true;
}
