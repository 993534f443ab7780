import { timestampFromMs, type Timestamp } from "@bufbuild/protobuf/wkt";
import type { Money } from "@ticketing/proto/web-google/type/money";
import type { Category, Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { eventZone } from "#lib/format/event-time.ts";
import { textOf } from "#lib/format/form-text.ts";
import { parsePrice } from "#lib/format/money.ts";
import {
  findConflicts,
  isSame,
  ticketValues,
  type Part,
  type TicketFormValues,
} from "#lib/tickets/ticket-form-values.ts";
import { categoryOf } from "#lib/tickets/ticket.ts";
import { parseLocalTime, isRepeat, isTimeZone, millis, type TimeError } from "#lib/format/time.ts";

interface TicketInput {
  title: string;
  price: Money;
  category: Category;
  venue: string;
  eventTime?: Timestamp;
  timeZone: string;
  /** Left out where the attached code stays. */
  code?: string;
}

type Reading =
  | { input: TicketInput; fields?: undefined }
  | { input?: undefined; fields: Record<string, string> };

/** What was typed into the form of a ticket. */
export function readFormValues(form: FormData): TicketFormValues {
  const text = (name: string) => textOf(form, name).trim();
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

/** Which of two changes was chosen for a part: the form's own, or the one that is stored. */
export type Choices = Partial<Record<Part, "mine" | "now">>;

export function readChoices(form: FormData): Choices {
  const parts: Part[] = ["title", "price", "category", "venue", "eventTime", "code"];
  const chosen = parts.map((part) => [part, form.get(`choice.${part}`)] as const);
  return Object.fromEntries(chosen.filter(([, word]) => word === "mine" || word === "now"));
}

/** What a form is read against. */
interface Background {
  /** The state of the ticket that the form was filled from. */
  seen?: Ticket | undefined;
  /** The state that it is saved over, where the ticket has changed since. */
  now?: Ticket | undefined;
  choices?: Choices;
}

/**
 * Reads the form of a ticket. Refused here is only what cannot be said in a request at all; what the
 * marketplace accepts is the contract's and the service's to say. A part that still reads as the form
 * showed it stays exactly what it is in the ticket. A part that was changed here and elsewhere needs a
 * choice.
 */
export function parseTicketForm(
  values: TicketFormValues,
  { seen, now, choices = {} }: Background = {},
): Reading {
  const conflicts = now ? findConflicts(values, seen, now) : [];
  const shown = seen && ticketValues(seen, "");
  const isTouched = (part: Part) => !shown || !isSame(part, values, shown);
  /** The ticket that a part is taken from; undefined where it is taken from what was typed. */
  const source = (part: Part): Ticket | undefined => {
    const isOpen = conflicts.some((each) => each.part === part);
    if (isOpen && choices[part] === "mine") return isTouched(part) ? undefined : seen;
    if (isOpen && choices[part] === "now") return now;
    return isTouched(part) ? undefined : (now ?? seen);
  };

  const stored = source("eventTime");
  const price = source("price")?.price ?? parsePrice(values.price, values.currency);
  const time = stored ? stored.eventTime : readTime(values, seen);
  const fields = Object.fromEntries(
    conflicts
      .filter(({ part, isTyped }) => isTyped && !choices[part])
      .map(({ part }) => [part, "Choose one of the two."]),
  );
  if ("refused" in price) fields[price.field] ??= price.refused;
  if (time && "refused" in time) fields["eventTime"] ??= time.refused;
  if ("refused" in price || (time && "refused" in time) || Object.keys(fields).length > 0)
    return { fields };

  const input = {
    title: source("title")?.title ?? values.title,
    price,
    category: source("category")?.category ?? categoryOf(values.category),
    venue: source("venue")?.venue ?? values.venue,
    timeZone: stored ? stored.timeZone : time ? values.timeZone : "",
    ...(choices.code === "now" ? {} : codeOf(values)),
  };
  return { input: time ? { ...input, eventTime: time } : input };
}

/** Left out, the attached code stays; empty, it goes. */
function codeOf({ code, removeCode }: TicketFormValues): { code?: string } {
  if (removeCode) return { code: "" };
  return code ? { code } : {};
}

/** The time as typed; in an hour that comes twice, the second where the time of before was in a second. */
function readTime(
  { eventTime, timeZone }: TicketFormValues,
  seen: Ticket | undefined,
): Timestamp | TimeError | undefined {
  if (!eventTime) return undefined;
  const zone = isTimeZone(timeZone) ? timeZone : "UTC";
  const before = seen?.eventTime;
  const later = Boolean(before && isRepeat(millis(before), eventZone(seen!)));
  const time = parseLocalTime(eventTime, zone, later);
  return typeof time === "number" ? timestampFromMs(time) : time;
}
