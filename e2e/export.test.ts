import { createClient, type Client } from "@connectrpc/connect";
import { AuthService, TokenDelivery } from "@ticketing/proto/auth/v1/auth_service";
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
import * as people from "./testing/person.ts";
import { Browser } from "./testing/browser.ts";
import "./testing/setup.ts"; // For the type of what it provides.

const { url, mongoUrl } = inject("marketplace");
const databases = await new mongo.MongoClient(mongoUrl.replace("/DATABASE", "/admin")).connect();
afterAll(() => databases.close());

const MARK = "the client's own mark of its request, kept so that a retry does nothing twice";
const TOLD = "what is told to other services of this very document";
const SUM = "derived from sales and payouts, and exported as earnings";

/**
 * What is kept of a user and not exported, by collection and field, and why. Every collection that
 * mentions users has a row.
 */
const WITHHELD: Record<string, Exclusions> = {
  "auth.users": {
    passwordHash: "a secret",
    emailKey: "the address, as it is compared",
    reservedEmails: "the addresses, as they are compared",
    keptSession: "one of the sessions, which are exported",
    outbox: TOLD,
  },
  "auth.sessions": { rotatedAt: "when it was last used, as exported, or a moment before" },
  "auth.mails": { takenUntil: "when the next try is made" },
  "tickets.tickets": {
    seenCodes: "digests, so that no code is sold twice",
    eventOrder: "the event's time, or the end of time",
    buyerId: "the buyer's",
    requestHash: MARK,
    outbox: TOLD,
  },
  "tickets.tickets of others": "the order tells its buyer",
  "tickets.users": {},
  "orders.orders": { requestId: MARK, requestHash: MARK, network: "a hash", outbox: TOLD },
  "orders.orders of others": "a purchase is its buyer's; what was paid is among the sales",
  "orders.tickets": {},
  "orders.users": {},
  "payments.payments": {
    "attempts.requestId": MARK,
    "attempts.requestHash": MARK,
    "refunds.requestId": MARK,
    "refunds.requestHash": MARK,
    "refunds.stripeId": "Stripe's name of what is exported",
    createTime: "when payments has heard of the order",
    postings: SUM,
    counted: SUM,
    countTime: SUM,
    poll: "when Stripe is asked next",
    outbox: TOLD,
  },
  "payments.payments of others": {
    order: "the buyer's, but for what is among the sales",
    attempts: "the buyer's",
    createTime: "when the buyer began",
    updateTime: "when anything last changed, the buyer's part included",
    postings: SUM,
    counted: SUM,
    countTime: SUM,
    poll: "when Stripe is asked next",
    outbox: TOLD,
  },
  "payments.payouts": { sellerId: "the user", postings: SUM, counted: SUM, countTime: SUM },
  "payments.sellers": {},
  "payments.balances": { _id: SUM, leaseUntil: SUM, pending: SUM },
  "payments.users": {},
  "payments.webhooks":
    "that Stripe has told something of the account, which is exported as it is now",
};

/** Which row is about a document: others' documents may mention a user. */
function rowOf(name: string, doc: mongo.BSON.Document, id: string): string {
  const owners: Record<string, unknown> = {
    "tickets.tickets": doc["userId"],
    "orders.orders": doc["userId"],
    "payments.payments": doc["order"]?.userId,
  };
  return name in owners && owners[name] !== id ? `${name} of others` : name;
}

const database = (name: string): mongo.Db => databases.db(name);

/** Somebody whose password is known, so that they can sign in to the storefront too. */
async function account() {
  const credentials = {
    email: `keeper-${crypto.randomUUID()}@example.com`,
    password: crypto.randomUUID(),
  };
  const tokenDelivery = TokenDelivery.BODY;
  const { user } = await people.anonymous(url).auth.signUp({ ...credentials, tokenDelivery });
  const id = user?.id ?? "";
  /** A session of theirs from now on. */
  async function signIn(): Promise<{ transport: ReturnType<typeof people.transportTo> }> {
    const auth = createClient(AuthService, people.transportTo(url));
    const { tokens } = await auth.signIn({ ...credentials, tokenDelivery });
    return { transport: people.transportTo(url, tokens?.accessToken) };
  }
  async function exported(): Promise<string> {
    const browser = new Browser();
    await browser.follow("/sign-in", credentials);
    const answer = await browser.send("/account/export");
    expect(answer.status).toBe(200);
    return JSON.stringify(await answer.json());
  }
  return { id, ...credentials, signIn, exported };
}

/** Puts somebody out, and lets them in again. */
async function banAndUnban(userId: string): Promise<void> {
  const boss = await account();
  await database("auth")
    .collection<{ _id: string }>("users")
    .updateOne({ _id: boss.id }, { $set: { roles: ["ADMINISTRATOR"] } });
  const users = createClient(UserService, (await boss.signIn()).transport);
  await users.banUser({ userId, reason: "A mistake" });
  await users.unbanUser({ userId });
}

const isSold = (ticket: Ticket): Promise<void> =>
  until(async () => (await people.fetchTicket(url, ticket)).status === TicketStatus.SOLD, {
    what: `the sale of ${ticket.title}`,
  }).then(() => undefined);

const about = (title: string) => ({
  ...{ title, venue: `${title} hall`, category: Category.CONCERT },
  price: { currencyCode: "EUR", units: 25n, nanos: 0 },
  code: `code-${crypto.randomUUID()}`,
  requestId: crypto.randomUUID(),
});

async function sell(seller: people.Person, buyer: people.Person, title: string): Promise<Ticket> {
  const { ticket } = await seller.tickets.createTicket(about(title));
  await people.pay(buyer, await people.buy(buyer, ticket!));
  await isSold(ticket!);
  await buyer.tickets.openTicketCode({ id: ticket!.id });
  return ticket!;
}

/** Completes what Stripe asks of a seller, and makes a sale old enough to be paid out. */
async function bePaidOut(client: Client<typeof SellerService>, sale: Ticket): Promise<void> {
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

it("an export holds every word and every time that any service keeps of its user", async () => {
  const keeper = await account();
  await banAndUnban(keeper.id);
  const { transport } = await keeper.signIn();
  const ann = { ...keeper, token: "", refreshToken: "", ...people.clients(transport) };
  const bob = await people.signUp(url, "bob");
  await ann.tickets.createTicket(about("A ticket that nobody wants"));
  const sale = await sell(ann, bob, "Sold by Ann");
  await sell(bob, ann, "Bought by Ann");
  await bePaidOut(createClient(SellerService, transport), sale);

  const exported = await keeper.exported();
  const rows = new Set<string>();
  const missing: string[] = [];
  for await (const { name, doc } of documentsContaining(databases, keeper.id)) {
    const row = rowOf(name, doc, keeper.id);
    rows.add(row);
    expect(WITHHELD, `${name} keeps something of users: say where it is exported`).toHaveProperty([
      row,
    ]);
    missing.push(
      ...missingFromExport(exported, doc, WITHHELD[row] ?? {}).map((leaf) => `${row}: ${leaf}`),
    );
  }
  expect(missing).toEqual([]);
  expect([...rows].sort()).toEqual(Object.keys(WITHHELD).sort());
});
