import { fromBinary, type DescService } from "@bufbuild/protobuf";
import { AccountService } from "@ticketing/proto/auth/v1/account_service";
import { AuthService } from "@ticketing/proto/auth/v1/auth_service";
import {
  ClaimsRequestedSchema,
  UserBannedSchema,
  UserDeletedSchema,
  UserUnbannedSchema,
  type UserState,
} from "@ticketing/proto/auth/v1/user_events";
import { UserService } from "@ticketing/proto/auth/v1/user_service";
import { ExpirationCompleteSchema } from "@ticketing/proto/expiration/v1/expiration_events";
import * as orders from "@ticketing/proto/orders/v1/order_events";
import { OrderService } from "@ticketing/proto/orders/v1/order_service";
import * as payments from "@ticketing/proto/payments/v1/payment_events";
import { PaymentService } from "@ticketing/proto/payments/v1/payment_service";
import { SellerService } from "@ticketing/proto/payments/v1/seller_service";
import * as tickets from "@ticketing/proto/tickets/v1/ticket_events";
import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import type { Ban, BanEvent } from "#runtime/identity/bans.ts";
import type { SnapshotRoute, Subscriptions } from "#runtime/messaging/topology/topology.ts";

/**
 * The events and their subscribers. The broker's exchanges, queues and permissions are derived from this
 * list (runtime/messaging).
 */
export const subscriptions = {
  // Auth is the only service that knows email addresses, so it sends the emails about trades.
  auth: [
    orders.OrderCompletedSchema,
    payments.ChargeFailedSchema,
    payments.ChargeRefundedSchema,
    payments.ClaimsAnsweredSchema,
  ],
  tickets: [
    orders.OrderCreatedSchema,
    orders.OrderExtendedSchema,
    orders.OrderAwaitingPaymentSchema,
    orders.OrderCancelledSchema,
    orders.OrderExpiredSchema,
    orders.OrderCompletedSchema,
    payments.RefundRequestedSchema,
    tickets.TicketSnapshotRequestedSchema,
    UserBannedSchema,
    UserUnbannedSchema,
    UserDeletedSchema,
  ],
  orders: [
    tickets.TicketCreatedSchema,
    tickets.TicketUpdatedSchema,
    payments.PaymentActionRequiredSchema,
    payments.PaymentAuthorizedSchema,
    payments.ChargeCreatedSchema,
    payments.ChargeFailedSchema,
    payments.ChargeRefundedSchema,
    ExpirationCompleteSchema,
    orders.OrderSnapshotRequestedSchema,
    UserBannedSchema,
    UserUnbannedSchema,
    UserDeletedSchema,
  ],
  expiration: [orders.OrderCreatedSchema, orders.OrderExtendedSchema],
  payments: [
    ClaimsRequestedSchema,
    UserBannedSchema,
    UserUnbannedSchema,
    orders.OrderCreatedSchema,
    orders.OrderAwaitingPaymentSchema,
    orders.OrderCancelledSchema,
    orders.OrderExpiredSchema,
    orders.OrderCompletedSchema,
    orders.OrderExtendedSchema,
    tickets.TicketCodeOpenedSchema,
    tickets.TicketCodeSealedSchema,
  ],
} satisfies Subscriptions;

/** The services that may request snapshots from an owner and receive the pages. */
export const snapshots: readonly SnapshotRoute[] = [
  {
    request: tickets.TicketSnapshotRequestedSchema,
    snapshot: tickets.TicketSnapshotSchema,
    requestedBy: ["orders"],
  },
  {
    request: orders.OrderSnapshotRequestedSchema,
    snapshot: orders.OrderSnapshotSchema,
    requestedBy: ["tickets", "payments"],
  },
];

/** The services that delay messages with the plugin, if the broker has it. */
export const delays: readonly string[] = ["expiration"];

function toBan(user: UserState | undefined, banned: boolean): Ban {
  if (!user) throw new Error("an event without its user");
  return { userId: user.id, version: Number(user.version), banned };
}

/** The events that every instance receives: a deleted user counts as banned. */
export const banEvents: readonly BanEvent[] = [
  {
    type: UserBannedSchema.typeName,
    read: (body) => toBan(fromBinary(UserBannedSchema, body).user, true),
  },
  {
    type: UserUnbannedSchema.typeName,
    read: (body) => toBan(fromBinary(UserUnbannedSchema, body).user, false),
  },
  {
    type: UserDeletedSchema.typeName,
    read(body) {
      const { userId, version } = fromBinary(UserDeletedSchema, body);
      return { userId, version: Number(version), banned: true, deleted: true };
    },
  },
];

/** All public services, for reflection and for the edge. */
export const services: readonly DescService[] = [
  AuthService,
  AccountService,
  UserService,
  TicketService,
  OrderService,
  PaymentService,
  SellerService,
];

/** The names of the services with RPCs. The edge has a route and a cluster for each of them. */
export const publicServices: readonly string[] = [
  ...new Set(services.map(({ file }) => file.proto.package.split(".")[1] ?? "")),
];

export const catalogue = { subscriptions, snapshots, delays, services, banEvents };
