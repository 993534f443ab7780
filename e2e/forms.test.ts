import { currencies } from "@ticketing/proto/currencies";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { until } from "#stack/process";
import { listTicket, pay, signUp, buy, type Person } from "./testing/person.ts";
import { fetchStripeRecords } from "./testing/stripe-records.ts";
import { field, formOn, newAdministrator, newUser, Browser } from "./testing/browser.ts";

const { url, stripeUrl } = inject("marketplace");

/** Sells a ticket; returns the id of the order, and of the payment at Stripe. */
async function sold(): Promise<{ orderId: string; stripeId: string }> {
  const [seller, buyer] = (await Promise.all(
    ["seller", "buyer"].map((name) => signUp(url, name)),
  )) as [Person, Person];
  const order = await buy(buyer, await listTicket(seller));
  await pay(buyer, order);
  const { stripeId } = await until(
    async () => {
      const { payment } = await buyer.payments.getPayment({ orderId: order.id });
      return payment?.captureTime && payment;
    },
    { what: "the payment" },
  );
  return { orderId: order.id, stripeId };
}

async function refundsOf(stripeId: string): Promise<number[]> {
  type Books = { refunds: { payment_intent: string; amount: number }[] };
  const { refunds } = await fetchStripeRecords<Books>(stripeUrl);
  return refunds.filter((one) => one.payment_intent === stripeId).map(({ amount }) => amount);
}

let seller: Browser, admin: Browser;
beforeAll(async () => {
  [seller, admin] = await Promise.all([newUser("seller"), newAdministrator()]);
});

describe("an administrator's refund", () => {
  const refund = "?/refund";

  it("is made once, even if its form is sent several times, and the form is empty afterwards", async () => {
    const { orderId, stripeId } = await sold();
    const path = `/admin/payments?order=${orderId}`;
    const form: Record<string, string> = {
      ...formOn(await admin.see(path), refund),
      amount: "5.00",
    };
    const post = () => admin.follow(`/admin/payments?/refund&order=${orderId}`, form);
    const [first, second] = await Promise.all([post(), post()]);
    const third = await post();
    expect([second, third]).toEqual([first, first]);
    await until(async () => (await refundsOf(stripeId)).length > 0, { what: "the refund" });

    const page = await admin.see(first);
    expect(page).toMatch(/Refunded:.*5\.00/s);
    const next = formOn(page, refund);
    expect(next).toMatchObject({ amount: "" });
    expect(next["requestId"]).not.toBe(form["requestId"]);
    const pressed = await admin.submit(`/admin/payments?/refund&order=${orderId}`, next);
    expect([pressed.status, field(await pressed.text(), "amount")]).toEqual([400, ""]);
    expect(await refundsOf(stripeId)).toEqual([500]);
  });

  it("refunds the remaining amount only with the button for it", async () => {
    const { orderId, stripeId } = await sold();
    const path = `/admin/payments?order=${orderId}`;
    const form = { ...formOn(await admin.see(path), refund), amount: "", all: "on" };
    await admin.follow(`/admin/payments?/refund&order=${orderId}`, form);
    await until(async () => (await refundsOf(stripeId)).length > 0, { what: "the refund" });
    expect(await refundsOf(stripeId)).toEqual([2550]);
  });

  it("keeps the input after an error", async () => {
    const { orderId } = await sold();
    const form = formOn(await admin.see(`/admin/payments?order=${orderId}`), refund);
    for (const amount of ["5,001", "99.99"]) {
      const response = await admin.submit(`/admin/payments?/refund&order=${orderId}`, {
        ...form,
        amount,
      });
      expect(response.status).toBe(400);
      expect(formOn(await response.text(), refund)).toMatchObject({ amount });
    }
  });
});

describe("a ban", () => {
  it("is confirmed on the page, and its form keeps the input after an error", async () => {
    const email = `banned-${crypto.randomUUID()}@example.com`;
    await new Browser().follow("/sign-up", { email, password: crypto.randomUUID() });
    const path = `/admin/users?email=${encodeURIComponent(email)}`;
    const action = `/admin/users?/ban&email=${encodeURIComponent(email)}`;
    const form: Record<string, string> = {
      ...formOn(await admin.see(path), "?/ban"),
      reason: "Sold what was not there",
    };
    const refused = await admin.submit(action, { ...form, endsAt: "2001-01-01T10:00" });
    expect(formOn(await refused.text(), "?/ban")).toMatchObject({
      reason: form["reason"],
      endsAt: "2001-01-01T10:00",
    });
    const page = await admin.see(await admin.follow(action, form));
    expect(page).toContain("The user is banned");
    expect(page).toContain("Lift ban");
  });
});

describe("passwords", () => {
  it("are never in a response, whether the form was accepted or not", async () => {
    const browser = await newUser("careful");
    const secret = `a-secret-${crypto.randomUUID()}`;
    for (const [action, fields] of [
      ["/account?/changeEmail", { password: secret, newEmail: "not an address" }],
      ["/account?/changePassword", { password: secret, newPassword: "a wholly new sentence" }],
      ["/account?/deleteAccount", { password: secret }],
      ["/sign-in", { email: "nobody@example.com", password: secret }],
    ] as const) {
      const page = await (await browser.submit(action, fields)).text();
      expect(page, action).not.toContain(secret);
      if ("newEmail" in fields) expect(page).toContain(fields.newEmail);
    }
  });
});

describe("the form of a ticket", () => {
  const listing = { title: "Zongoraest", price: "20000.99", currency: "HUF" };
  const add = (fields: Record<string, string>) =>
    seller.follow("/tickets/new", { ...listing, requestId: crypto.randomUUID(), ...fields });

  it("offers exactly the supported currencies", async () => {
    const menu = /<select[^>]*name="currency".*?<\/select>/s.exec(await seller.see("/tickets/new"));
    const offered = [...(menu?.[0] ?? "").matchAll(/<option[^>]*>([A-Z]{3})/g)].map(
      ([, one]) => one,
    );
    expect(offered).toEqual(currencies);
  });

  it("changes nothing that was not edited, neither the currency nor the seconds of the event", async () => {
    const ticket = await add({ eventTime: "2035-10-28T01:30:45Z" });
    const read = async () => {
      const response = await seller.send(`/api${ticket}`);
      return ((await response.json()) as { ticket: Record<string, unknown> }).ticket;
    };
    const before = await read();
    expect(await seller.see(ticket)).toContain("20,000.99");
    const form = formOn(await seller.see(`${ticket}/edit`), "?/save");
    await seller.follow(`${ticket}/edit?/save`, { ...form, title: "Another title" });
    const after = await read();
    expect(after["title"]).toBe("Another title");
    for (const name of ["price", "category", "venue", "eventTime"])
      expect(after[name], name).toEqual(before[name]);
    expect(before["price"]).toEqual({ currencyCode: "HUF", units: "20000", nanos: 990_000_000 });
  });
});
