import { timestampFromMs, type Timestamp } from "@bufbuild/protobuf/wkt";
import type { Money } from "@ticketing/proto/web-google/type/money";
import type { Category, Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { parsePrice } from "#lib/money.ts";
import { ticketValues, type TicketFormValues } from "#lib/ticket-values.ts";
import { categoryOf } from "#lib/tickets.ts";
import { instant, isTimeZone } from "#lib/time.ts";

interface TicketInput {
  title: string;
  price: Money;
  category: Category;
  venue: string;
  eventTime?: Timestamp;
  code: string;
}

type Reading = { values: TicketFormValues } & (
  { input: TicketInput; fields?: undefined } | { input?: undefined; fields: Record<string, string> }
);

/**
 * Reads the form of a ticket. Refused here is only what cannot be said in a request at all; what the
 * marketplace accepts is the contract's and the service's to say. Of a `stored` ticket, each field
 * that still reads as the form showed it stays exactly what it is.
 */
export function readTicketForm(form: FormData, stored?: Ticket): Reading {
  const text = (name: string) => String(form.get(name) ?? "");
  const values = {
    title: text("title").trim(),
    price: text("price").trim(),
    currency: text("currency"),
    category: text("category"),
    venue: text("venue").trim(),
    eventTime: text("eventTime").trim(),
    code: text("code").trim(),
  };
  const zone = isTimeZone(text("timeZone")) ? text("timeZone") : "UTC";
  const shown = stored && ticketValues(stored, zone);
  const kept = (...names: (keyof TicketFormValues)[]): Ticket | undefined =>
    names.every((name) => values[name] === shown?.[name].trim()) ? stored : undefined;

  const price = kept("price", "currency")?.price ?? parsePrice(values.price, values.currency);
  const eventTime = kept("eventTime") ? stored?.eventTime : readTime(values.eventTime, zone);
  const fields: Record<string, string> = {};
  if ("refused" in price) fields[price.field] = price.refused;
  if (eventTime === "refused") fields["eventTime"] = "Choose a day and a time.";
  if ("refused" in price || eventTime === "refused") return { values, fields };

  const title = kept("title")?.title ?? values.title;
  const venue = kept("venue")?.venue ?? values.venue;
  const category = kept("category")?.category ?? categoryOf(values.category);
  const input = { title, price, category, venue, code: values.code };
  return { values, input: eventTime ? { ...input, eventTime } : input };
}

function readTime(text: string, zone: string): Timestamp | undefined | "refused" {
  if (!text) return undefined;
  const time = instant(text, zone);
  return time === undefined ? "refused" : timestampFromMs(time);
}
