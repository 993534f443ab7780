import { execFile } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { findWrongBalances } from "../balances/balance-check.ts";
import { fetchWebhookEndpoints } from "./webhook-endpoints.ts";
import {
  DAY_MS,
  payoutsFixture,
  PUBLIC_URL,
  type PayoutsFixture,
} from "../testing/payouts-fixture.ts";
import { KEY } from "../testing/stripe-fixture.ts";
import { WEBHOOK_EVENTS } from "../stripe/webhook-events.ts";

const command = join(import.meta.dirname, "command.ts");

/** Runs the command as an operator does. */
function operator({ base, uri }: PayoutsFixture) {
  const env = {
    ...process.env,
    ...{ MONGODB_URI: uri, STRIPE_KEY: KEY, STRIPE_API_BASE: base, PUBLIC_URL },
  };
  return (...args: string[]) =>
    new Promise<{ code: number; out: string[]; err: string }>((resolve) => {
      execFile(process.execPath, [command, ...args], { env }, (error, stdout, err) => {
        resolve({ code: Number(error?.code ?? 0), out: stdout.trim().split("\n"), err });
      });
    });
}

it("reconciles a day, and reports the differences", async () => {
  const fixture = await payoutsFixture();
  const payments = operator(fixture);
  const id = await fixture.sell();
  await fixture.payments.updateOne({ _id: id }, { $pop: { postings: 1 } });
  const day = new Date().toISOString().slice(0, 10);
  const intent = await fixture.intentOf(id);
  const said = `missing here: sale ${intent}: here nothing, at Stripe 100.00 EUR`;
  const wrong = { code: 1, out: [said, `${day}: 1 difference.`] };
  const [today, before, never] = await Promise.all([
    payments("compare", day),
    payments("compare"),
    payments("compare", "2027-02-30"),
  ]);
  expect(today).toMatchObject(wrong);
  const yesterday = new Date(Date.now() - DAY_MS).toISOString().slice(0, 10);
  expect(before).toMatchObject({ code: 0, out: [`${yesterday}: the same on both sides.`] });
  expect(never).toMatchObject({ code: 2 });
});

it("previews the refunds of an event, and makes them only with the flag", async () => {
  const fixture = await payoutsFixture();
  const payments = operator(fixture);
  const event = { title: "A concert", venue: "The hall", eventTime: new Date("2027-06-01T19:00Z") };
  for (let i = 0; i < 2; i += 1) await fixture.sell(event);
  const elsewhere = await fixture.sell({ ...event, venue: "The other hall" });
  const words = ["--title", "a CONCERT", "--venue", "the hall", "--time", "2027-06-01T21:00+02:00"];
  const found = `"A concert", The hall, 2027-06-01T19:00:00.000Z: 2 payments, 200.00 EUR`;
  const ticket = expect.stringMatching(/^ {2}ticket .+, order .+: 100\.00 EUR$/);
  const asked = await payments("refund-event", ...words);
  expect(asked).toMatchObject({
    code: 0,
    out: [found, ticket, ticket, expect.stringContaining("--yes")],
  });
  expect(await fixture.payments.countDocuments({ "refunds.status": "PENDING" })).toBe(0);
  const begun = await payments("refund-event", ...words, "--yes");
  expect(begun.out[3]).toMatch(/^Begun: 2 payments, 200\.00 EUR\./);
  expect(await fixture.payments.countDocuments({ "refunds.status": "PENDING" })).toBe(2);
  expect((await fixture.payments.findById(elsewhere).orFail()).refunds).toEqual([]);
});

it("refuses to refund by title alone, because several events may have it", async () => {
  const fixture = await payoutsFixture();
  const payments = operator(fixture);
  const orderId = await fixture.sell({ title: "A concert" });
  await fixture.sell({ title: "A concert" });
  const { ticketId } = (await fixture.payments.findById(orderId).orFail()).order;
  const [refused, mixed] = await Promise.all([
    payments("refund-event", "--title", "A concert", "--yes"),
    payments("refund-event", "--ticket", ticketId, "--title", "A concert"),
  ]);
  expect(mixed).toMatchObject({ code: 2 });
  expect(refused).toMatchObject({ code: 1 });
  expect(refused.out[0]).toBe(`"A concert", no venue, no date: 2 payments, 200.00 EUR`);
  expect(await fixture.payments.countDocuments({ "refunds.status": "PENDING" })).toBe(0);
  expect(await payments("refund-event", "--ticket", ticketId, "--yes")).toMatchObject({ code: 0 });
  const begun = await fixture.payments.find({ "refunds.status": "PENDING" });
  expect(begun.map(({ _id }) => _id)).toEqual([orderId]);
});

it("compares the balances with the ledger, and rebuilds them only with the flag", async () => {
  const fixture = await payoutsFixture();
  await fixture.sell({ eventDaysAgo: 2 });
  expect(await findWrongBalances(fixture.deps, false)).toEqual([]);
  await fixture.deps.balances.updateMany({}, { $inc: { available: 500 } });
  const line = "not the same: seller sam: balance 100.00 EUR, by the ledger 95.00 EUR";
  const out = [line, "1 balance differs. Add --mend to rebuild."];
  expect(await operator(fixture)("balances")).toMatchObject({ code: 1, out });
  expect(await findWrongBalances(fixture.deps, true)).toHaveLength(1);
  expect(await findWrongBalances(fixture.deps, false)).toEqual([]);
});

it("reports the event types that each of the two webhook endpoints lacks", async () => {
  const url = `${PUBLIC_URL}/webhooks/stripe`;
  const own = WEBHOOK_EVENTS.filter((type) => !type.startsWith("account."));
  const fixture = await payoutsFixture({ url, secret: "whsec_of_nobody" });
  const look = () => fetchWebhookEndpoints(fixture.stripe, PUBLIC_URL);
  const exists = { exists: true, missing: [] };
  expect(await look()).toEqual({ url, own: exists, connect: exists }); // All existing endpoints.
  await fixture.control("PUT", "webhooks", { events: own });
  const connect = { exists: false, missing: ["account.updated"] };
  expect(await look()).toEqual({ url, own: exists, connect });
  expect(await fetchWebhookEndpoints(fixture.stripe, "https://other.example/")).toEqual({
    url: "https://other.example/webhooks/stripe",
    own: { exists: false, missing: own },
    connect,
  });
  await fixture.control("PUT", "webhooks", { events: own.slice(2) });
  const [first, second] = own;
  expect(await operator(fixture)("endpoint")).toMatchObject({
    code: 1,
    out: [
      ...[`missing: ${first}`, `missing: ${second}`],
      `There is no webhook endpoint for connected accounts at ${url}: add it in the Stripe Dashboard.`,
      "missing: account.updated",
    ],
  });
});
