import type { DescService } from "@bufbuild/protobuf";
import { AuthService } from "@ticketing/proto/auth/v1/auth_service";
import { ExpirationCompleteSchema } from "@ticketing/proto/expiration/v1/expiration_events";
import * as orders from "@ticketing/proto/orders/v1/order_events";
import { OrderService } from "@ticketing/proto/orders/v1/order_service";
import * as payments from "@ticketing/proto/payments/v1/payment_events";
import { PaymentService } from "@ticketing/proto/payments/v1/payment_service";
import * as tickets from "@ticketing/proto/tickets/v1/ticket_events";
import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import type { Subscriptions } from "#runtime/topology.ts";

/**
 * Who hears which events: the one list from which every service declares the whole topology. The
 * snapshots are not in it: they go from the owner into the queue of the one who asked.
 */
export const subscriptions = {
  tickets: [
    orders.OrderCreatedSchema,
    orders.OrderAwaitingPaymentSchema,
    orders.OrderCancelledSchema,
    orders.OrderExpiredSchema,
    orders.OrderCompletedSchema,
    tickets.TicketSnapshotRequestedSchema,
  ],
  orders: [
    tickets.TicketCreatedSchema,
    tickets.TicketUpdatedSchema,
    payments.PaymentAuthorizedSchema,
    payments.ChargeCreatedSchema,
    payments.ChargeFailedSchema,
    payments.ChargeRefundedSchema,
    ExpirationCompleteSchema,
    orders.OrderSnapshotRequestedSchema,
  ],
  expiration: [orders.OrderCreatedSchema],
  payments: [
    orders.OrderCreatedSchema,
    orders.OrderAwaitingPaymentSchema,
    orders.OrderCancelledSchema,
    orders.OrderExpiredSchema,
    orders.OrderCompletedSchema,
  ],
} satisfies Subscriptions;

/** Every public service, for reflection and for the edge. */
export const services: readonly DescService[] = [
  AuthService,
  TicketService,
  OrderService,
  PaymentService,
];

export const catalogue = { subscriptions, services };
