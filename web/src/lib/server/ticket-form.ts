import { timestampFromMs, type Timestamp } from "@bufbuild/protobuf/wkt";
import type { Money } from "@ticketing/proto/web-google/type/money";
import type { Category } from "@ticketing/proto/web/tickets/v1/ticket";
import { parsePrice } from "#lib/money.ts";
import { categoryOf } from "#lib/tickets.ts";
import { instant, isTimeZone } from "#lib/time.ts";

/** What the seller typed, to be shown again. */
export type TicketFormValues = Record<
  "title" | "price" | "currency" | "category" | "venue" | "eventTime" | "code",
  string
>;

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
 * marketplace accepts is the contract's and the service's to say.
 */
export function readTicketForm(form: FormData): Reading {
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
  const zone = text("timeZone");
  const price = parsePrice(values.price, values.currency);
  const time = instant(values.eventTime, isTimeZone(zone) ? zone : "UTC");

  const fields: Record<string, string> = {};
  if ("refused" in price) fields["price"] = price.refused;
  if (values.eventTime && time === undefined) fields["eventTime"] = "Choose a day and a time.";
  if ("refused" in price || fields["eventTime"]) return { values, fields };

  const { title, venue, code } = values;
  const category = categoryOf(values.category);
  const eventTime = time === undefined ? {} : { eventTime: timestampFromMs(time) };
  return { values, input: { title, price, category, venue, code, ...eventTime } };
}
