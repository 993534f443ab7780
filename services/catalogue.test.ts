import { createRegistry, getOption, type DescFile, type DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel as Idempotency } from "@bufbuild/protobuf/wkt";
import { file_ticketing_auth_v1_user_events as authEvents } from "@ticketing/proto/auth/v1/user_events";
import {
  ExpirationCompleteSchema,
  file_ticketing_expiration_v1_expiration_events as expirationEventsFile,
} from "@ticketing/proto/expiration/v1/expiration_events";
import { http } from "@ticketing/proto/google/api/annotations";
import {
  access,
  Access,
  own_credentials as ownCredentials,
} from "@ticketing/proto/options/v1/options";
import { file_ticketing_orders_v1_order_events as orderEventsFile } from "@ticketing/proto/orders/v1/order_events";
import { file_ticketing_payments_v1_payment_events as paymentEventsFile } from "@ticketing/proto/payments/v1/payment_events";
import { file_ticketing_tickets_v1_ticket_events as ticketEventsFile } from "@ticketing/proto/tickets/v1/ticket_events";
import { describe, expect, it } from "vitest";
import type { EventHandler } from "#runtime/messaging/consumer.ts";
import { services, subscriptions } from "#marketplace/catalogue.ts";
import { claimAnswerHandler } from "./auth/accounts/claims.ts";
import { tradeEmailHandlers } from "./auth/events.ts";
import { expirationEvents } from "./expiration/events.ts";
import { orderEvents, orderSnapshots, ticketReplica } from "./orders/events.ts";
import { claimEvents, orderReplica, paymentEvents } from "./payments/events.ts";
import { holdReplica, ticketEvents, ticketSnapshots } from "./tickets/events.ts";

const methods: [string, DescMethod][] = services.flatMap((service) =>
  service.methods.map((method): [string, DescMethod] => [
    `${service.typeName}.${method.name}`,
    method,
  ]),
);

/** The REST paths of a method, as "VERB /path". */
function paths(method: DescMethod): string[] {
  const rule = getOption(method, http);
  return [rule, ...rule.additionalBindings].flatMap(({ pattern }) =>
    pattern.case === undefined || pattern.case === "custom"
      ? []
      : [`${pattern.case.toUpperCase()} ${pattern.value}`],
  );
}

describe("every snapshot", () => {
  const none = {} as never;
  it.each([
    ["orders' replica of tickets", ticketReplica(none), ticketSnapshots(none)],
    ["tickets' replica of holds", holdReplica(none), orderSnapshots(none)],
    ["payments' replica of orders", orderReplica(none), orderSnapshots(none)],
  ])("contains everything that the replica needs: %s", (_, copies, offer) => {
    expect(offer.snapshot).toBe(copies.snapshot);
    expect(offer.edition ?? 1).toBeGreaterThanOrEqual(copies.edition ?? 1);
  });
});

describe("every method", () => {
  it.each(methods)("declares who may call it: %s", (_, method) => {
    expect(getOption(method, access)).not.toBe(Access.UNSPECIFIED);
  });

  it.each(methods)(
    "uses its own credentials if it is open to everyone and changes something: %s",
    (_, method) => {
      const isOpen = getOption(method, access) === Access.ANYONE;
      const isRead = method.idempotency === Idempotency.NO_SIDE_EFFECTS;
      expect(getOption(method, ownCredentials)).toBe(isOpen && !isRead);
    },
  );

  it.each(methods)("has a REST path of its own: %s", (_, method) => {
    const own = paths(method);
    expect(own.length).toBeGreaterThan(0);
    for (const path of own) expect(path).toMatch(/^(GET|POST|PUT|DELETE) \/api\//);
    const others = methods
      .filter(([, other]) => other !== method)
      .flatMap(([, other]) => paths(other));
    expect(others).not.toEqual(expect.arrayContaining([own[0]]));
  });

  it("allows GET only for methods that read", () => {
    const read = methods.filter(([, method]) => method.idempotency === 1).map(([name]) => name);
    const got = methods.filter(([, method]) =>
      paths(method).some((path) => path.startsWith("GET ")),
    );
    expect(read).toEqual(got.map(([name]) => name));
    expect(read.length).toBeGreaterThan(0);
  });
});

it("the paths that the requirements name exist (R20, R30, R40, R60)", () => {
  expect(methods.flatMap(([, method]) => paths(method))).toEqual(
    expect.arrayContaining([
      "POST /api/users/signup",
      "POST /api/users/signin",
      "POST /api/users/signout",
      "GET /api/users/currentuser",
      "GET /api/tickets",
      "GET /api/tickets/{id}",
      "POST /api/tickets",
      "PUT /api/tickets/{id}",
      "DELETE /api/tickets/{id}",
      "GET /api/orders",
      "GET /api/orders/{id}",
      "POST /api/orders",
      "DELETE /api/orders/{id}",
      "POST /api/payments",
    ]),
  );
});

it("only these methods are open to everyone", () => {
  const open = methods.filter(([, method]) => getOption(method, access) === Access.ANYONE);
  expect(
    open.map(([name]) => name.replace(/^ticketing\.\w+\.v1\./, "")).toSorted(),
    "The access of a method changed. If everyone may call it, add it to this list, so that a review sees it.",
  ).toEqual([
    "AccountService.ConfirmEmail",
    "AccountService.RequestPasswordReset",
    "AccountService.ResetPassword",
    "AccountService.UndoEmailChange",
    "AuthService.GetCurrentUser",
    "AuthService.RefreshSession",
    "AuthService.SignIn",
    "AuthService.SignOut",
    "AuthService.SignUp",
    "TicketService.GetTicket",
    "TicketService.ListTickets",
  ]);
});

/** The files of events, by publisher. */
const published: Record<string, DescFile> = {
  auth: authEvents,
  tickets: ticketEventsFile,
  orders: orderEventsFile,
  payments: paymentEventsFile,
  expiration: expirationEventsFile,
};

describe("every event", () => {
  it.each([
    ["auth", ["UserCreated", "UserUpdated", "UserDeleted", "UserBanned", "UserUnbanned"]],
    ["tickets", ["TicketCreated", "TicketUpdated"]],
    [
      "orders",
      ["OrderCreated", "OrderAwaitingPayment", "OrderCancelled", "OrderExpired", "OrderCompleted"],
    ],
    [
      "payments",
      ["PaymentAuthorized", "PaymentVoided", "ChargeCreated", "ChargeFailed", "ChargeRefunded"],
    ],
    ["expiration", ["ExpirationComplete"]],
  ])("of %s that the requirements name is in its contract (R70)", (area, names) => {
    const registry = createRegistry(published[area] as DescFile);
    for (const name of names)
      expect(registry.getMessage(`ticketing.${area}.v1.${name}`)).toBeDefined();
  });

  it("carries no email, password, token or code", () => {
    const fields = Object.values(published).flatMap((file) => [
      ...[file, ...file.dependencies]
        .filter(({ name }) => /\/v1\/\w+_events$|\/(ticket|order|payment)$/.test(name))
        .flatMap(({ messages }) =>
          messages.flatMap((message) => message.fields.map(({ name }) => name)),
        ),
    ]);
    expect(fields.length).toBeGreaterThan(30);
    const secrets = fields.filter((name) => /email|password|token|secret|^code$/.test(name));
    expect(secrets.filter((name) => !/^(next_)?page_token$/.test(name))).toEqual([]);
  });
});

describe("every service", () => {
  // Only the types of the handlers are compared, so their dependencies may be empty.
  const none = {} as never;
  const handlers: Record<keyof typeof subscriptions, EventHandler[]> = {
    auth: [...tradeEmailHandlers(none), claimAnswerHandler(none)],
    tickets: ticketEvents(none),
    orders: orderEvents(none),
    payments: [...paymentEvents(none), ...claimEvents(none)],
    expiration: expirationEvents(none),
  };
  const offers = { tickets: ticketSnapshots(none), orders: orderSnapshots(none) };

  it.each(Object.keys(subscriptions) as (keyof typeof subscriptions)[])(
    "handles every event that it subscribes to: %s",
    (name) => {
      const heard = subscriptions[name].map(({ typeName }) => typeName);
      const handled = handlers[name].map(({ type }) => type);
      if (name in offers) handled.push(offers[name as keyof typeof offers].request.typeName);
      // Its own delayed messages do not come from the exchange for events.
      if (name === "expiration") heard.push(ExpirationCompleteSchema.typeName);
      expect(
        handled.toSorted(),
        `events.ts of ${name} needs an on(…) for each event that catalogue.ts names for it, and no other.`,
      ).toEqual(heard.toSorted());
    },
  );

  it.each([holdReplica(none), ticketReplica(none), orderReplica(none)])(
    "can request snapshots of what it replicates: $request.typeName",
    ({ owner, request, snapshot }) => {
      expect(offers[owner as keyof typeof offers]).toMatchObject({ request, snapshot });
    },
  );
});
