import { timestampFromMs, type Timestamp } from "@bufbuild/protobuf/wkt";
import type { Money } from "@ticketing/proto/web-google/type/money";
import type { Category, Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { eventZone } from "#lib/format/event-time.ts";
import { formText } from "#lib/format/form-text.ts";
import { isRepeatedTime, parseLocalTime, type TimeError } from "#lib/format/local-time.ts";
import { parsePrice } from "#lib/format/money.ts";
import { isTimeZone, toMillis } from "#lib/format/time.ts";
import {
  findConflicts,
  isSamePart,
  type EditConflict,
  type TicketPart,
} from "#lib/tickets/edit-conflicts.ts";
import { ticketFormValues, type TicketFormValues } from "#lib/tickets/ticket-form-values.ts";
import { categoryOf } from "#lib/tickets/ticket.ts";

interface TicketInput {
  title: string;
  price: Money;
  category: Category;
  venue: string;
  eventTime?: Timestamp;
  timeZone: string;
  /** Absent if the attached code stays; empty if it is removed. */
  code?: string;
}

type ParsedTicketForm =
  | { input: TicketInput; fields?: undefined }
  | { input?: undefined; fields: Record<string, string> };

/** The fields of a submitted ticket form. */
export function readFormValues(form: FormData): TicketFormValues {
  const text = (name: string) => formText(form, name).trim();
  return {
    title: text("title"),
    price: text("price"),
    currency: text("currency"),
    category: text("category"),
    venue: text("venue"),
    eventTime: text("eventTime"),
    timeZone: text("timeZone"),
    code: text("code"),
    removeCode: form.has("removeCode"),
  };
}

/** How each conflict is resolved: with the form's own value, or with the stored one. */
export type Choices = Partial<Record<TicketPart, "mine" | "current">>;

export function readChoices(form: FormData): Choices {
  const parts: TicketPart[] = ["title", "price", "category", "venue", "eventTime", "code"];
  const chosen = parts.map((part) => [part, form.get(`choice.${part}`)] as const);
  return Object.fromEntries(chosen.filter(([, value]) => value === "mine" || value === "current"));
}

/** What an edited form is merged with. */
export interface EditState {
  /** The ticket that the form was filled from. */
  base?: Ticket | undefined;
  /** The stored ticket, if it has changed since. */
  current?: Ticket | undefined;
  choices?: Choices;
}

/**
 * Parses a ticket form into a request. Only values that a request cannot express are errors here; the
 * contract and the service validate the rest. A part that was not edited keeps its exact value, and a part
 * that was edited both here and elsewhere needs a choice.
 */
export function parseTicketForm(values: TicketFormValues, edit: EditState = {}): ParsedTicketForm {
  const { base, current, choices = {} } = edit;
  const conflicts = current ? findConflicts(values, base, current) : [];
  const sourceOf = ticketSource(values, edit, conflicts);

  const timeSource = sourceOf("eventTime");
  const price = sourceOf("price")?.price ?? parsePrice(values.price, values.currency);
  const time = timeSource ? timeSource.eventTime : parseEventTime(values, base);
  const fields = unresolved(conflicts, choices);
  if ("error" in price) fields[price.field] ??= price.error;
  if (time && "error" in time) fields["eventTime"] ??= time.error;
  if ("error" in price || (time && "error" in time) || Object.keys(fields).length > 0)
    return { fields };

  const input: TicketInput = {
    title: sourceOf("title")?.title ?? values.title,
    price,
    category: sourceOf("category")?.category ?? categoryOf(values.category),
    venue: sourceOf("venue")?.venue ?? values.venue,
    timeZone: timeSource ? timeSource.timeZone : time ? values.timeZone : "",
    ...(choices.code === "current" ? {} : codeChange(values)),
  };
  return { input: time ? { ...input, eventTime: time } : input };
}

/** Finds the ticket that a part's value comes from; undefined if it comes from the form's fields. */
function ticketSource(
  values: TicketFormValues,
  { base, current, choices = {} }: EditState,
  conflicts: EditConflict[],
) {
  const baseValues = base && ticketFormValues(base, "");
  return (part: TicketPart): Ticket | undefined => {
    const isEdited = !baseValues || !isSamePart(part, values, baseValues);
    const isConflict = conflicts.some((each) => each.part === part);
    if (isConflict && choices[part] === "mine") return isEdited ? undefined : base;
    if (isConflict && choices[part] === "current") return current;
    return isEdited ? undefined : (current ?? base);
  };
}

/** An error for each conflict that needs a choice and has none. */
const unresolved = (conflicts: EditConflict[], choices: Choices): Record<string, string> =>
  Object.fromEntries(
    conflicts
      .filter(({ part, isEdited }) => isEdited && !choices[part])
      .map(({ part }) => [part, "Choose which one to keep."]),
  );

/** Absent, the attached code stays; empty, it is removed. */
function codeChange({ code, removeCode }: TicketFormValues): { code?: string } {
  if (removeCode) return { code: "" };
  return code ? { code } : {};
}

/** The event's time. In an hour that occurs twice, it stays in the second if the base's time was there. */
function parseEventTime(
  { eventTime, timeZone }: TicketFormValues,
  base: Ticket | undefined,
): Timestamp | TimeError | undefined {
  if (!eventTime) return undefined;
  const zone = isTimeZone(timeZone) ? timeZone : "UTC";
  const before = base?.eventTime;
  const later = Boolean(before && isRepeatedTime(toMillis(before), eventZone(base!)));
  const time = parseLocalTime(eventTime, zone, later);
  return typeof time === "number" ? timestampFromMs(time) : time;
}
