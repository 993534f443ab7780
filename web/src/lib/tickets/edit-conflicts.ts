import type { Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { ticketFormValues, type TicketFormValues } from "./ticket-form-values.ts";

// Optimistic concurrency for the form of a ticket, as a three-way merge: the base is the ticket that the
// form was filled from, the current ticket is the stored one, and the values are what the form sends.

/** The parts of a ticket that are merged, or chosen, as a whole. */
export type TicketPart = "title" | "price" | "category" | "venue" | "eventTime" | "code";

/** The form fields of each part. A code is left out: it is never shown again. */
export const partFields = {
  title: ["title"],
  price: ["price", "currency"],
  category: ["category"],
  venue: ["venue"],
  eventTime: ["eventTime", "timeZone"],
} as const;

/** Whether two forms have the same values for a part. */
export function isSamePart(
  part: TicketPart,
  one: TicketFormValues,
  other: TicketFormValues,
): boolean {
  if (part === "code") return false;
  if (part === "eventTime" && !one.eventTime && !other.eventTime) return true;
  return partFields[part].every((name) => one[name].trim() === other[name].trim());
}

/** A part that differs between the form and the current ticket, and was changed elsewhere. */
export interface EditConflict {
  part: TicketPart;
  /** Whether it was edited in this form too; if not, the form only shows the old value. */
  isEdited: boolean;
}

const comparableParts = ["title", "price", "category", "eventTime", "venue"] as const;

/** The conflicts of a form. Codes cannot be compared, so an edited code always conflicts. */
export function findConflicts(
  values: TicketFormValues,
  base: Ticket | undefined,
  current: Ticket,
): EditConflict[] {
  const baseValues = base && ticketFormValues(base, "");
  const currentValues = ticketFormValues(current, "");
  const found: EditConflict[] = comparableParts
    .filter((part) => !isSamePart(part, values, currentValues))
    .filter((part) => !baseValues || !isSamePart(part, baseValues, currentValues))
    .map((part) => ({ part, isEdited: !baseValues || !isSamePart(part, values, baseValues) }));
  const isCodeEdited = Boolean(values.code) || values.removeCode;
  return isCodeEdited ? [...found, { part: "code", isEdited: true }] : found;
}
