import { createRegistry } from "@bufbuild/protobuf";
import { file_ticketing_auth_v1_user_events } from "@ticketing/proto/auth/v1/user_events";
import { file_ticketing_expiration_v1_expiration_events } from "@ticketing/proto/expiration/v1/expiration_events";
import { file_ticketing_orders_v1_order_events } from "@ticketing/proto/orders/v1/order_events";
import { file_ticketing_payments_v1_payment_events } from "@ticketing/proto/payments/v1/payment_events";
import { file_ticketing_tickets_v1_ticket_events } from "@ticketing/proto/tickets/v1/ticket_events";
import { sanitize } from "./terminal-text.ts";

/** Every event in the contracts, also those that no service consumes. */
export const events = createRegistry(
  file_ticketing_auth_v1_user_events,
  file_ticketing_tickets_v1_ticket_events,
  file_ticketing_orders_v1_order_events,
  file_ticketing_payments_v1_payment_events,
  file_ticketing_expiration_v1_expiration_events,
);

/** The last part of an event's full name. A name that is not in the contracts is kept whole. */
export const shortType = (type: string): string =>
  events.getMessage(type)?.name ?? (type === "" ? "-" : sanitize(type));
