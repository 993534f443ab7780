import { beforeAll, describe, expect, inject, it } from "vitest";
import { until } from "#stack/process";
import { field, newUser, Browser } from "./testing/browser.ts";

const { url, mailboxUrl } = inject("marketplace");

interface Mail {
  to: string[];
  subject: string;
  text: string;
}

const listing = (title: string) => ({
  title,
  price: "49.90",
  currency: "EUR",
  category: "concert",
  venue: "Town hall",
  eventTime: "",
  code: `door-${title}`,
  requestId: crypto.randomUUID(),
});

async function pressBuy(buyer: Browser, ticket: string): Promise<string> {
  const page = await buyer.see(ticket);
  const fields = {
    ticketVersion: field(page, "ticketVersion"),
    requestId: field(page, "requestId"),
  };
  expect(fields.ticketVersion).not.toBe("");
  return buyer.follow(`${ticket}?/buy`, fields);
}

let seller: Browser, buyer: Browser, late: Browser;
beforeAll(async () => {
  [seller, buyer, late] = (await Promise.all(["seller", "buyer", "late"].map(newUser))) as [
    Browser,
    Browser,
    Browser,
  ];
});

describe("a user without JavaScript", () => {
  it("can list, find, buy and pay for a ticket, and sees its code", async () => {
    const title = `Recital ${crypto.randomUUID()}`;
    const ticket = await seller.follow("/tickets/new", listing(title));
    expect(await new Browser().see(`/?q=${encodeURIComponent(title)}`)).toContain(title);
    expect(await seller.see("/listings")).toContain(title);

    const order = await pressBuy(buyer, ticket);
    expect(order).toMatch(/^\/orders\/[\w-]+$/);
    const page = await buyer.see(order);
    expect(page).toContain("Reserved for you");
    await until(async () => (await late.see(ticket)).includes("Someone is buying"), {
      what: "the hold on the page",
    });
    expect(await buyer.see("/orders")).toContain(title);
    expect((await late.send(order)).status).toBe(404);

    await until(
      async () =>
        (
          await buyer.submit(`${order}?/pay`, {
            token: "tok_visa",
            requestId: field(page, "requestId"),
          })
        ).status === 303,
      { what: "the payment", timeoutMs: 10_000 },
    );
    await until(async () => (await buyer.see(order)).includes("Show code"), {
      what: "the code",
      timeoutMs: 15_000,
    });
    expect(await buyer.see(order)).toContain("Get a refund");
    expect(await buyer.see(order)).not.toContain(`door-${title}`);
    const opened = await (await buyer.submit(`${order}?/revealCode`, {})).text();
    expect(opened).toContain(`door-${title}`);
    expect(await buyer.see("/orders?filter=past")).toContain(title);
    expect(await late.see(ticket)).not.toContain(`door-${title}`);
  });

  it("sees errors beside the fields and keeps the input", async () => {
    const response = await seller.submit("/tickets/new", {
      ...listing("Typed before"),
      price: "0.001",
    });
    expect(response.status).toBe(400);
    const page = await response.text();
    expect(page).toContain("Typed before");
    expect(page).toMatch(/aria-invalid="true"/);
  });

  it("can cancel an order, and the ticket becomes available again", async () => {
    const ticket = await seller.follow("/tickets/new", listing(`Matinee ${crypto.randomUUID()}`));
    const order = await pressBuy(buyer, ticket);
    await buyer.follow(`${order}?/cancel`, {});
    expect(await buyer.see(order)).toContain("Cancelled");
    await until(async () => field(await late.see(ticket), "ticketVersion") !== "", {
      what: "the ticket to be free",
    });
  });

  it("has no access after signing out", async () => {
    const browser = await newUser("leaver");
    expect((await browser.send("/orders")).status).toBe(200);
    await browser.follow("/sign-out", {});
    expect([...browser.cookies.keys()].filter((name) => name.startsWith("ticketing"))).toEqual([]);
    expect((await browser.send("/orders")).status).toBe(303);
  });

  it("stays signed in by the refresh token when the access token is gone", async () => {
    const browser = await newUser("stayer");
    const before = browser.cookies.get("ticketing_refresh");
    browser.cookies.delete("ticketing_access");
    expect((await browser.send("/orders")).status).toBe(200);
    expect(browser.cookies.get("ticketing_access")).toBeTruthy();
    expect(browser.cookies.get("ticketing_refresh")).not.toBe(before);
  });
});

/** Pays with a test card; retries while payments does not know the order yet. */
async function payWith(buyer: Browser, order: string, token: string): Promise<void> {
  const requestId = field(await buyer.see(order), "requestId");
  await until(
    async () => (await buyer.submit(`${order}?/pay`, { token, requestId })).status === 303,
    {
      what: "the payment",
      timeoutMs: 10_000,
    },
  );
}

/** Waits until a page contains a text. */
const shows = (browser: Browser, path: string, text: string) =>
  until(async () => (await browser.see(path)).includes(text), {
    what: `${path} to contain "${text}"`,
    timeoutMs: 15_000,
  });

describe("a payment", () => {
  it("is confirmed at the buyer's bank, and the return address keeps no secret", async () => {
    const ticket = await seller.follow("/tickets/new", listing(`Asked ${crypto.randomUUID()}`));
    const order = await pressBuy(buyer, ticket);
    await payWith(buyer, order, "tok_threeDSecure2Required");
    const page = await buyer.see(order);
    const bank = /<a[^>]*href="([^"]*)"[^>]*>Continue to your bank/.exec(page)?.[1] ?? "";
    const confirmation = await fetch(bank.replaceAll("&amp;", "&"), {
      method: "POST",
      body: "answer=complete",
      redirect: "manual",
    });
    const back = new URL(confirmation.headers.get("location") ?? "");
    expect(back.searchParams.get("payment_intent_client_secret")).toBeTruthy();
    const landed = await buyer.send(back.pathname + back.search);
    expect([landed.status, landed.headers.get("location")]).toEqual([303, order]);
    await shows(buyer, order, "Show code");
  });

  it("is refunded to a buyer who has not seen the code", async () => {
    const ticket = await seller.follow("/tickets/new", listing(`Back ${crypto.randomUUID()}`));
    const order = await pressBuy(buyer, ticket);
    await payWith(buyer, order, "tok_visa");
    await shows(buyer, order, "Get a refund");
    await buyer.follow(`${order}?/refund`, { requestId: crypto.randomUUID() });
    await shows(buyer, order, "refunded");
    await shows(buyer, order, "This order was fully refunded.");
  });

  it("is shown only to its seller, who can refund it", async () => {
    const title = `Earned ${crypto.randomUUID()}`;
    const order = await pressBuy(buyer, await seller.follow("/tickets/new", listing(title)));
    await payWith(buyer, order, "tok_visa");
    await shows(seller, "/earnings", title);
    expect(await seller.see("/earnings")).toContain("Set up payouts with Stripe");
    expect(await late.see("/earnings")).not.toContain(title);
    const refusal = await late.submit("/earnings?/refund", { orderId: order.split("/")[2] ?? "" });
    expect(refusal.status).toBe(404);
    await seller.follow("/earnings?/refund", { orderId: order.split("/")[2] ?? "" });
    await shows(buyer, order, "This order was fully refunded.");
    expect((await seller.send("/admin/payments")).status).toBe(404);
  });

  it("leads its seller to Stripe's onboarding", async () => {
    const person = await newUser("payee");
    const page = await (await person.submit("/earnings?/onboard", {})).text();
    const stripe = /<a[^>]*href="([^"]*)"[^>]*>Continue on Stripe/.exec(page)?.[1] ?? "";
    expect((await fetch(stripe.replaceAll("&amp;", "&"))).status).toBe(200);
  });
});

describe("the browser's security", () => {
  it("rejects a form from another origin or without an origin", async () => {
    for (const origin of ["https://evil.example", "null", undefined]) {
      const headers = {
        "content-type": "application/x-www-form-urlencoded",
        ...(origin ? { origin } : {}),
      };
      const response = await buyer.send("/sign-out", { method: "POST", headers, body: "" });
      expect(response.status, String(origin)).toBe(403);
    }
    expect((await buyer.send("/orders")).status).toBe(200);
  });

  it("hides cookies from scripts and keeps pages out of caches", async () => {
    const browser = new Browser();
    const response = await browser.submit("/sign-up", {
      email: `cookies-${crypto.randomUUID()}@example.com`,
      password: crypto.randomUUID(),
    });
    const lines = response.headers.getSetCookie().filter((line) => line.startsWith("ticketing"));
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toMatch(/; HttpOnly; SameSite=Lax/);
    const page = await browser.send("/orders");
    expect(page.headers.get("cache-control")).toContain("no-store");
    expect(page.headers.get("referrer-policy")).toBe("same-origin");
  });

  it("allows no scripts, frames or forms but the page's own", async () => {
    const [first, second] = await Promise.all([1, 2].map(() => new Browser().send("/sign-in")));
    const policy = first!.headers.get("content-security-policy") ?? "";
    for (const part of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"])
      expect(policy).toContain(part);
    for (const part of ["form-action 'self'", "object-src 'none'"]) expect(policy).toContain(part);
    expect(policy).not.toMatch(/unsafe-inline|unsafe-eval|\*/);
    expect(policy).not.toBe(second!.headers.get("content-security-policy"));
    const nonce = /'nonce-([^']+)'/.exec(policy)?.[1] ?? "none";
    const scripts = [...(await first!.text()).matchAll(/<script[^>]*>/g)];
    expect(scripts).not.toEqual([]);
    for (const [tag] of scripts) expect(tag).toContain(`nonce="${nonce}"`);
  });
});

describe("an account", () => {
  const change = { password: "not the password", newPassword: "a wholly new sentence" };

  it("is accessible only to its owner", async () => {
    for (const path of ["/account", "/account/export"]) {
      const response = await new Browser().send(path);
      expect([response.status, response.headers.get("location")], path).toEqual([
        303,
        `/sign-in?next=${encodeURIComponent(path)}`,
      ]);
    }
    for (const browser of [new Browser(), buyer])
      expect((await browser.send("/admin/users")).status).toBe(404);
    const ban = { userId: crypto.randomUUID(), reason: "none" };
    expect((await buyer.submit("/admin/users?/ban", ban)).status).toBe(404);
  });

  it("asks its user to confirm the email address and lists the signed-in devices", async () => {
    const page = await buyer.see("/account");
    expect(page).toContain("isn’t confirmed yet");
    expect(page).toContain("This device");
    expect(await new Browser().see("/sign-in")).toContain("/forgotten-password");
  });

  it("changes its password with the current one, and ends the other sessions", async () => {
    const email = `changer-${crypto.randomUUID()}@example.com`;
    const [here, elsewhere] = [new Browser(), new Browser()];
    const password = crypto.randomUUID();
    await here.follow("/sign-up", { email, password });
    await elsewhere.follow("/sign-in", { email, password });
    const refused = await here.submit("/account?/changePassword", change);
    expect(refused.status).toBe(401);
    expect(await refused.text()).toContain("Incorrect password.");

    await here.follow("/account?/changePassword", { ...change, password });
    expect((await here.send("/account")).status).toBe(200);
    elsewhere.cookies.delete("ticketing_access");
    expect((await elsewhere.send("/account")).status).toBe(303);
    await new Browser().follow("/sign-in", { email, password: change.newPassword });
  });

  it("ends one session or all of them", async () => {
    const email = `roamer-${crypto.randomUUID()}@example.com`;
    const [here, there, third] = [new Browser(), new Browser(), new Browser()];
    const password = crypto.randomUUID();
    await here.follow("/sign-up", { email, password });
    await there.follow("/sign-in", { email, password });
    const id = field(await here.see("/account"), "id");
    await here.follow("/account?/endSession", { id });
    there.cookies.delete("ticketing_access");
    expect((await there.send("/account")).status).toBe(303);

    await third.follow("/sign-in", { email, password });
    expect(await here.follow("/account?/signOutEverywhere", {})).toBe("/sign-in?done=everywhere");
    expect((await here.send("/account")).status).toBe(303);
    third.cookies.delete("ticketing_access");
    expect((await third.send("/account")).status).toBe(303);
  });

  it("exports its data as a file that is not cached", async () => {
    const title = `Exported ${crypto.randomUUID()}`;
    await seller.follow("/tickets/new", listing(title));
    const response = await seller.send("/account/export");
    expect(response.status).toBe(200);
    expect(response.headers.get("content-disposition")).toContain("attachment");
    expect(response.headers.get("cache-control")).toBe("private, no-store");
    const data = (await response.json()) as { listings: { ticket: { title: string } }[] };
    expect(data.listings.map(({ ticket }) => ticket.title)).toContain(title);
  });

  it("is deleted with its password and can no longer be signed in to", async () => {
    const email = `goer-${crypto.randomUUID()}@example.com`;
    const password = crypto.randomUUID();
    const browser = new Browser();
    await browser.follow("/sign-up", { email, password });
    expect((await browser.submit("/account?/deleteAccount", { password: "a guess" })).status).toBe(
      401,
    );
    expect(await browser.follow("/account?/deleteAccount", { password })).toBe(
      "/sign-in?done=deleted",
    );
    expect((await browser.send("/account")).status).toBe(303);
    expect((await new Browser().submit("/sign-in", { email, password })).status).toBe(401);
  });
});

/** The link in the newest email to an address, once the email has arrived. */
async function linkTo(email: string, subject: string): Promise<string> {
  const newest = async () => {
    const mails = (await (await fetch(`${mailboxUrl}/mails`)).json()) as Mail[];
    const mail = mails.find((one) => one.to.includes(email) && one.subject === subject);
    return /https?:\/\/\S+/.exec(mail?.text ?? "")?.[0];
  };
  const link = new URL(await until(newest, { what: `an email to ${email}` }));
  expect(link.origin).toBe(new URL(url).origin);
  return link.pathname + link.search;
}

describe("a link in an email", () => {
  it("confirms the address of a new account", async () => {
    const email = `new-${crypto.randomUUID()}@example.com`;
    const browser = new Browser();
    await browser.follow("/sign-up", { email, password: crypto.randomUUID() });
    const link = await linkTo(email, "Welcome to Ticketing");
    await browser.send(link); // A mail scanner opens the link first.
    const person = new Browser();
    await person.send(link);
    await person.follow("/confirm-email", {});
    await person.send(link);
    expect((await person.submit("/confirm-email", {})).status).toBe(409);
  });

  it("resets a forgotten password", async () => {
    const email = `forgetful-${crypto.randomUUID()}@example.com`;
    const password = crypto.randomUUID();
    const newPassword = crypto.randomUUID();
    await new Browser().follow("/sign-up", { email, password });
    const person = new Browser();
    await person.follow("/forgotten-password", { email });
    await person.send(await linkTo(email, "Set a new password"));
    await person.follow("/reset-password", { newPassword });
    expect((await new Browser().submit("/sign-in", { email, password })).status).toBe(401);
    await new Browser().follow("/sign-in", { email, password: newPassword });
  });

  it("shows the same page for a forgotten password, even if there is no such account", async () => {
    const email = `nobody-${crypto.randomUUID()}@example.com`;
    const browser = new Browser();
    expect(await browser.follow("/forgotten-password", { email })).toBe("/forgotten-password?sent");
    expect(await browser.see("/forgotten-password?sent")).toContain("Check your email");
  });

  it("restores an account at its previous email address", async () => {
    const [email, newEmail] = ["owner", "thief"].map(
      (name) => `${name}-${crypto.randomUUID()}@example.com`,
    ) as [string, string];
    const [password, newPassword] = [crypto.randomUUID(), crypto.randomUUID()];
    const thief = new Browser();
    await thief.follow("/sign-up", { email, password });
    await thief.follow("/account?/changeEmail", { password, newEmail });
    await thief.send(await linkTo(newEmail, "Confirm your new email address"));
    await thief.follow("/confirm-email", {});
    await thief.follow("/sign-in", { email: newEmail, password });

    const owner = new Browser();
    await owner.send(await linkTo(email, "Your email address was changed"));
    expect(await owner.see("/undo-email-change")).toContain("Restore your email address");
    const led = await owner.follow("/undo-email-change", { newPassword });
    expect(await owner.see(led)).toContain("has its previous email address again");
    await owner.follow("/sign-in", { email, password: newPassword });
    expect(await owner.see("/account")).toContain(email);
    thief.cookies.delete("ticketing_access");
    expect((await thief.send("/account")).status).toBe(303);
  });

  it.each(["/reset-password", "/confirm-email", "/undo-email-change"])(
    "leaves its token in no address, cache or Referer header: %s",
    async (path) => {
      const browser = new Browser();
      const opened = await browser.send(`${path}?token=made-up`);
      expect([opened.status, opened.headers.get("location")]).toEqual([303, path]);
      expect(opened.headers.get("referrer-policy")).toBe("no-referrer");
      const cookie = opened.headers.getSetCookie().find((line) => line.startsWith("mail-link="));
      expect(cookie).toMatch(/HttpOnly/i);
      expect(cookie).toContain(`Path=${path}`);
      const page = await browser.send(path);
      for (const { headers } of [opened, page])
        expect(headers.get("cache-control")).toBe("private, no-store");
      expect(await page.text()).not.toContain("made-up");

      const response = await browser.submit(path, { newPassword: "a wholly new sentence" });
      expect(response.status).toBe(409);
      expect(await response.text()).toContain("already been used or has expired");
    },
  );
});
