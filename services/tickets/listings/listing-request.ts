import type {
  CreateTicketRequest,
  UpdateTicketRequest,
} from "@ticketing/proto/tickets/v1/ticket_service";
import { invalidField } from "#runtime/errors.ts";
import { toChargeable } from "#marketplace/stripe-amount.ts";
import { isVisible, readSingleLine, toMultiline } from "#runtime/values/text.ts";
import { toEventTime, toTimeZone } from "./event-time.ts";
import { categoryWord } from "./search.ts";
import type { Listing } from "../ticket.ts";

/** What a seller enters, checked; throws the violation of a field. */
export function toListing(request: CreateTicketRequest | UpdateTicketRequest): Listing {
  if (!request.price) throw invalidField("price", "is required");
  const { amount, currency } = toChargeable(request.price, "price");
  const eventTime = toEventTime(request.eventTime);
  const timeZone = toTimeZone(request.timeZone);
  return {
    title: readSingleLine(request.title, "title", { max: 200, required: true }),
    price: amount,
    currency,
    category: categoryWord(request.category),
    venue: readSingleLine(request.venue, "venue", { max: 200 }) || undefined,
    eventTime,
    timeZone: eventTime && timeZone,
  };
}

/** A code keeps its line breaks, and must have at least one visible character. */
export function toCode(code: string | undefined): string | undefined {
  if (!code) return code;
  if (isVisible(code)) return toMultiline(code);
  throw invalidField("code", "must have at least one visible character");
}
