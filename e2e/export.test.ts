import { createClient, type Client, type Transport } from "@connectrpc/connect";
import { UserService } from "@ticketing/proto/auth/v1/user_service";
import { PayoutStatus, SellerService } from "@ticketing/proto/payments/v1/seller_service";
import { Category, TicketStatus, type Ticket } from "@ticketing/proto/tickets/v1/ticket";
import { mongo } from "mongoose";
import { afterAll, expect, inject, it } from "vitest";
import { until } from "#stack/process";
import {
  documentsContaining,
  missingFromExport,
  type Exclusions,
} from "./testing/export-coverage.ts";
import {
  buy,
  clients,
  fetchTicket,
  pay,
  signIn,
  signUp,
  transportTo,
  type Credentials,
  type Person,
} from "./testing/person.ts";
import { Browser } from "./testing/browser.ts";
import "./testing/setup.ts"; // For the type of what it provides.

const { url, mongoUrl } = inject("marketplace");
const databases = await new mongo.MongoClient(mongoUrl.replace("/DATABASE", "/admin")).connect();
afterAll(() => databases.close());

const REQUEST_ID = "the request id of the client, stored so that a retry has no second effect";
const OUTBOX = "events about this very document";
const DERIVED = "derived from sales and payouts, and exported as earnings";

/**
 * The stored data of a user that exports omit, by collection and field, each with its reason. Every
 * collection that mentions users has a row.
 */
const EXCLUSIONS: Record<string, Exclusions> = {
  "auth.users": {
    passwordHash: "a secret",
    emailKey: "the address, as it is compared",
    reservedEmails: "the addresses, as they are compared",
    keptSession: "one of the sessions, which are exported",
    outbox: OUTBOX,
  },
  "auth.sessions": { rotatedAt: "when it was last used, as exported, or a moment before" },
  "auth.mails": { takenUntil: "when the next try is made" },
  "tickets.tickets": {
    seenCodes: "digests, so that no code is sold twice",
    eventOrder: "the event's time, or the end of time",
    terms: "the words of title, venue and category",
    buyerId: "the buyer's",
    requestHash: REQUEST_ID,
    outbox: OUTBOX,
  },
  "tickets.tickets of others": "the order tells its buyer",
  "tickets.users": {},
  "orders.orders": {
    requestId: REQUEST_ID,
    requestHash: REQUEST_ID,
    network: "a hash",
    outbox: OUTBOX,
  },
  "orders.orders of others": "a purchase is its buyer's; what was paid is among the sales",
  "orders.tickets": {},
  "orders.users": {},
  "payments.payments": {
    "attempts.requestId": REQUEST_ID,
    "attempts.requestHash": REQUEST_ID,
    "refunds.requestId": REQUEST_ID,
    "refunds.requestHash": REQUEST_ID,
    "refunds.stripeId": "Stripe's name of what is exported",
    createTime: "when payments received the order",
    postings: DERIVED,
    counted: DERIVED,
    countTime: DERIVED,
    poll: "when Stripe is asked next",
    outbox: OUTBOX,
  },
  "payments.payments of others": {
    order: "the buyer's, but for what is among the sales",
    attempts: "the buyer's",
    createTime: "when the buyer began",
    updateTime: "when anything last changed, the buyer's part included",
    postings: DERIVED,
    counted: DERIVED,
    countTime: DERIVED,
    poll: "when Stripe is asked next",
    outbox: OUTBOX,
  },
  "payments.payouts": {
    sellerId: "the user",
    postings: DERIVED,
    counted: DERIVED,
    countTime: DERIVED,
  },
  "payments.sellers": {},
  "payments.balances": { _id: DERIVED, leaseUntil: DERIVED, pending: DERIVED },
  "payments.users": {},
  "payments.webhooks":
    "only that Stripe has sent events of the account, whose current state is exported",
};

/** The row for a document: documents of other users may mention the user. */
function rowOf(name: string, doc: mongo.BSON.Document, id: string): string {
  const owners: Record<string, unknown> = {
    "tickets.tickets": doc["userId"],
    "orders.orders": doc["userId"],
    "payments.payments": doc["order"]?.userId,
  };
  return name in owners && owners[name] !== id ? `${name} of others` : name;
}

const database = (name: string): mongo.Db => databases.db(name);

/** Starts another session, as a user with a second device. */
async function anotherSession(person: Credentials): Promise<Transport> {
  const { accessToken } = await signIn(url, person);
  return transportTo(url, accessToken);
}

/** The export that the storefront offers to its user, as JSON. */
async function downloadExport({ email, password }: Credentials): Promise<string> {
  const browser = new Browser();
  await browser.follow("/sign-in", { email, password });
  const response = await browser.send("/account/export");
  expect(response.status).toBe(200);
  return JSON.stringify(await response.json());
}

async function banAndUnban(userId: string): Promise<void> {
  const administrator = await signUp(url, "administrator");
  await database("auth")
    .collection<{ _id: string }>("users")
    .updateOne({ _id: administrator.id }, { $set: { roles: ["ADMINISTRATOR"] } });
  const users = createClient(UserService, await anotherSession(administrator));
  await users.banUser({ userId, reason: "A mistake" });
  await users.unbanUser({ userId });
}

const isSold = (buyer: Person, ticket: Ticket): Promise<void> =>
  until(async () => (await fetchTicket(buyer, ticket)).status === TicketStatus.SOLD, {
    what: `the sale of ${ticket.title}`,
  }).then(() => undefined);

const about = (title: string) => ({
  ...{ title, venue: `${title} hall`, category: Category.CONCERT },
  price: { currencyCode: "EUR", units: 25n, nanos: 0 },
  code: `code-${crypto.randomUUID()}`,
  requestId: crypto.randomUUID(),
});

async function sell(seller: Person, buyer: Person, title: string): Promise<Ticket> {
  const { ticket } = await seller.tickets.createTicket(about(title));
  await pay(buyer, await buy(buyer, ticket!));
  await isSold(buyer, ticket!);
  await buyer.tickets.openTicketCode({ id: ticket!.id });
  return ticket!;
}

/** Completes the onboarding at Stripe, and makes a sale old enough to be paid out. */
async function receivePayout(client: Client<typeof SellerService>, sale: Ticket): Promise<void> {
  const { url: page } = await client.startOnboarding({});
  const session =
    /name="session" value="([^"]*)"/.exec(await (await fetch(page)).text())?.[1] ?? "";
  const body = new URLSearchParams({ session, answer: "complete" });
  await fetch(page, { method: "POST", body, redirect: "manual" });
  const longAgo = new Date(Date.now() - 30 * 86_400_000);
  await database("payments")
    .collection("payments")
    .updateOne(
      { "order.ticketId": sale.id },
      { $set: { captureTime: longAgo, countTime: new Date(0) } },
    );
  const isPaid = async (): Promise<boolean> =>
    (await client.listPayouts({})).payouts.some(({ status }) => status === PayoutStatus.PAID);
  await until(isPaid, { what: "the payout" });
}

it("an export contains every string and every time that a service stores about its user", async () => {
  const keeper = await signUp(url, "keeper");
  await banAndUnban(keeper.id);
  const transport = await anotherSession(keeper);
  const ann = { ...keeper, ...clients(transport) };
  const bob = await signUp(url, "bob");
  await ann.tickets.createTicket(about("A ticket that nobody wants"));
  const sale = await sell(ann, bob, "Sold by Ann");
  await sell(bob, ann, "Bought by Ann");
  await receivePayout(createClient(SellerService, transport), sale);

  const exported = await downloadExport(keeper);
  const rows = new Set<string>();
  const missing: string[] = [];
  for await (const { name, doc } of documentsContaining(databases, keeper.id)) {
    const row = rowOf(name, doc, keeper.id);
    rows.add(row);
    expect(
      EXCLUSIONS,
      `${name} stores data of users: export it, or add the reason to EXCLUSIONS`,
    ).toHaveProperty([row]);
    missing.push(
      ...missingFromExport(exported, doc, EXCLUSIONS[row] ?? {}).map((leaf) => `${row}: ${leaf}`),
    );
  }
  expect(missing).toEqual([]);
  expect([...rows].sort()).toEqual(Object.keys(EXCLUSIONS).sort());
});
