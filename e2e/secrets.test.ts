import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { mongo } from "mongoose";
import { PaymentStatus } from "@ticketing/proto/payments/v1/payment";
import { TicketStatus } from "@ticketing/proto/tickets/v1/ticket";
import { afterAll, expect, inject, it } from "vitest";
import { until } from "#stack/process";
import { fetchStripeRecords } from "./testing/stripe-records.ts";
import { buy, listTicket, pay, signUp, fetchTicket } from "./testing/person.ts";
import { errorOf } from "./testing/rpc-error.ts";
import { openEventLog } from "./testing/event-log.ts";
import "./testing/setup.ts"; // For the type of what it provides.

// P56: no secret is in a log.

const { url, amqpUrl, mongoUrl, stripeUrl, logs, secrets } = inject("marketplace");
const eventLog = await openEventLog(amqpUrl);
afterAll(() => eventLog.close());

const cards = [
  "tok_visa",
  "tok_threeDSecure2Required",
  "tok_chargeDeclined",
  "tok_chargeDeclinedIncorrectCvc",
  "tok_of_nobody",
];

/** The lines of every log, also those of earlier tests, each with the name of its file. */
const everyLine = (): string[] =>
  readdirSync(logs).flatMap((file) =>
    readFileSync(join(logs, file), "utf8")
      .split("\n")
      .map((line) => `${file}: ${line}`),
  );

/** Everything that payments has stored. */
async function stored(): Promise<string> {
  const url = mongoUrl.replace("DATABASE", "payments");
  await using client = await new mongo.MongoClient(url).connect();
  const collections = await client.db("payments").collections();
  const all = await Promise.all(collections.map((each) => each.find({}).toArray()));
  return JSON.stringify(all);
}

/** The client secrets, which only Stripe and the buyer may know: they allow to continue a payment. */
async function clientSecrets(): Promise<string[]> {
  const records = await fetchStripeRecords<{
    payment_intents: { client_secret: string }[];
  }>(stripeUrl);
  return records.payment_intents.map(({ client_secret: secret }) => secret);
}

it("no log, event, error or payment contains a card, token, client secret, key or code", async () => {
  const [seller, buyer] = await Promise.all([signUp(url, "seller"), signUp(url, "buyer")]);
  const said: string[] = [];
  const orders: string[] = [];
  for (const card of cards) {
    const order = await buy(buyer, await listTicket(seller));
    orders.push(order.id);
    const paid = await pay(buyer, order, card).catch(() => undefined);
    if (!paid) said.push(JSON.stringify(await errorOf(pay(buyer, order, card))));
    if (paid?.payment?.status === PaymentStatus.REQUIRES_ACTION) {
      expect(paid.clientSecret).toContain("_secret_");
    }
  }
  const code = `door ${crypto.randomUUID()}`;
  const price = { currencyCode: "EUR", units: 20n };
  const { ticket } = await seller.tickets.createTicket({ title: "With a code", price, code });
  const order = await buy(buyer, ticket!);
  await pay(buyer, order);
  await until(async () => (await fetchTicket(buyer, ticket!)).status === TicketStatus.SOLD, {
    what: "the sale",
  });
  await buyer.tickets.openTicketCode({ id: ticket!.id });

  const subjects = () => new Set(eventLog.events.map(({ subject }) => subject));
  await until(() => [...orders, order.id].every((id) => subjects().has(id)), {
    what: "the events",
  });
  const events = eventLog.events.map(({ type, body }) => `${type} ${body.toString("latin1")}`);
  const everything = [...everyLine(), ...events, ...said, await stored()];
  const isSaid = (what: string): string[] =>
    everything.filter((line) => line.includes(what)).map((line) => line.slice(0, 200));

  // The search itself works: it finds what may be logged.
  expect(isSaid(order.id).length).toBeGreaterThan(5);
  const never = [
    ...["tok_", "pm_card_", "4242424242", "_secret_", "Bearer ", "sk_test_", "whsec_", code],
    ...[seller.token, buyer.token, seller.refreshToken, buyer.refreshToken],
    ...(await clientSecrets()),
    ...secrets,
  ];
  for (const secret of never) expect(isSaid(secret), "is said").toEqual([]);
});
