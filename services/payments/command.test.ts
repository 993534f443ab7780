import { execFile } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { lookAtEndpoint } from "./endpoint.ts";
import { DAY_MS, money, PUBLIC_URL, type Money } from "./testing-payouts.ts";
import { KEY } from "./testing-stripe.ts";
import { WEBHOOK_EVENTS } from "./webhook-events.ts";

const command = join(import.meta.dirname, "command.ts");

/** The command as an operator runs it. */
function operator({ base, uri }: Money) {
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

it("compares a day, and says what is not the same", async () => {
  const all = await money();
  const payments = operator(all);
  const id = await all.sell();
  await all.payments.updateOne({ _id: id }, { $pop: { postings: 1 } });
  const day = new Date().toISOString().slice(0, 10);
  const intent = await all.intentOf(id);
  const said = `missing here: sale ${intent}: here nothing, at Stripe EUR\u00a0100.00`;
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

it("says what it would give back of an event, and does so only where it is told to", async () => {
  const all = await money();
  const payments = operator(all);
  for (let i = 0; i < 2; i += 1) await all.sell({ title: "A concert" });
  const found = `"a CONCERT", no date: 2 payments, EUR\u00a0200.00`;
  const asked = await payments("refund-event", "--title", "a CONCERT");
  expect(asked).toMatchObject({ code: 0, out: [found, expect.stringContaining("--yes")] });
  expect(await all.payments.countDocuments({ "refunds.status": "PENDING" })).toBe(0);
  const begun = await payments("refund-event", "--title", "a CONCERT", "--yes");
  expect(begun.out[1]).toMatch(/^Begun: 2 payments, EUR.200\.00\./);
  expect(await all.payments.countDocuments({ "refunds.status": "PENDING" })).toBe(2);
});

it("says which events Stripe does not tell us", async () => {
  const url = `${PUBLIC_URL}/webhooks/stripe`;
  // Of sellers' accounts Stripe tells another endpoint, which nobody needs.
  const own = WEBHOOK_EVENTS.filter((type) => !type.startsWith("account."));
  const all = await money({ url, secret: "whsec_of_nobody" });
  const look = () => lookAtEndpoint(all.stripe, PUBLIC_URL);
  expect(await look()).toEqual({ url, isThere: true, missing: [] }); // All that there are.
  await all.turn("PUT", "webhooks", { events: own });
  expect(await look()).toEqual({ url, isThere: true, missing: [] });
  expect(await lookAtEndpoint(all.stripe, "https://other.example/")).toEqual({
    url: "https://other.example/webhooks/stripe",
    isThere: false,
    missing: own,
  });
  await all.turn("PUT", "webhooks", { events: own.slice(2) });
  const [first, second] = own;
  expect(await operator(all)("endpoint")).toMatchObject({
    code: 1,
    out: [`missing: ${first}`, `missing: ${second}`],
  });
});
