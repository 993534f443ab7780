import { beforeAll, describe, expect, inject, it } from "vitest";
import { until } from "#stack/process";
import { field, newUser, Browser } from "./browser.ts";

const { url, mailboxUrl } = inject("place");

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

async function press(buyer: Browser, ticket: string): Promise<string> {
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

describe("a person without JavaScript", () => {
  it("can list, find, buy and pay, and reads the code", async () => {
    const title = `Recital ${crypto.randomUUID()}`;
    const ticket = await seller.follow("/tickets/new", listing(title));
    expect(await new Browser().see(`/?q=${encodeURIComponent(title)}`)).toContain(title);
    expect(await seller.see("/listings")).toContain(title);

    const order = await press(buyer, ticket);
    expect(order).toMatch(/^\/orders\/[\w-]+$/);
    const page = await buyer.see(order);
    expect(page).toContain("Held for you");
    await until(async () => (await late.see(ticket)).includes("Somebody is buying"), {
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
    await until(async () => (await buyer.see(order)).includes("Show the code"), {
      what: "the code",
      timeoutMs: 15_000,
    });
    expect(await buyer.see(order)).toContain("Give the ticket back");
    expect(await buyer.see(order)).not.toContain(`door-${title}`);
    const opened = await (await buyer.submit(`${order}?/open`, {})).text();
    expect(opened).toContain(`door-${title}`);
    expect(await buyer.see("/orders?filter=past")).toContain(title);
    expect(await late.see(ticket)).not.toContain(`door-${title}`);
  });

  it("is told beside the field what is wrong, and loses nothing typed", async () => {
    const answer = await seller.submit("/tickets/new", {
      ...listing("Typed before"),
      price: "0.001",
    });
    expect(answer.status).toBe(400);
    const page = await answer.text();
    expect(page).toContain("Typed before");
    expect(page).toMatch(/aria-invalid="true"/);
  });

  it("can cancel, and the ticket is free again", async () => {
    const ticket = await seller.follow("/tickets/new", listing(`Matinee ${crypto.randomUUID()}`));
    const order = await press(buyer, ticket);
    await buyer.follow(`${order}?/cancel`, {});
    expect(await buyer.see(order)).toContain("Cancelled");
    await until(async () => field(await late.see(ticket), "ticketVersion") !== "", {
      what: "the ticket to be free",
    });
  });

  it("signs out, and is a stranger afterwards", async () => {
    const browser = await newUser("leaver");
    expect((await browser.send("/orders")).status).toBe(200);
    await browser.follow("/sign-out", {});
    expect([...browser.cookies.keys()].filter((name) => name.startsWith("ticketing"))).toEqual([]);
    expect((await browser.send("/orders")).status).toBe(303);
  });

  it("stays signed in when the access token has gone, by the refresh token", async () => {
    const browser = await newUser("stayer");
    const before = browser.cookies.get("ticketing_refresh");
    browser.cookies.delete("ticketing_access");
    expect((await browser.send("/orders")).status).toBe(200);
    expect(browser.cookies.get("ticketing_access")).toBeTruthy();
    expect(browser.cookies.get("ticketing_refresh")).not.toBe(before);
  });
});

/** Pays with a card, however new the order is; answers where that leads. */
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

/** Waits for words on a page. */
const shows = (browser: Browser, path: string, words: string) =>
  until(async () => (await browser.see(path)).includes(words), {
    what: `${path} to say "${words}"`,
    timeoutMs: 15_000,
  });

describe("money", () => {
  it("is confirmed at the buyer's bank, and the way back keeps no secret in its address", async () => {
    const ticket = await seller.follow("/tickets/new", listing(`Asked ${crypto.randomUUID()}`));
    const order = await press(buyer, ticket);
    await payWith(buyer, order, "tok_threeDSecure2Required");
    const page = await buyer.see(order);
    const bank = /<a[^>]*href="([^"]*)"[^>]*>Go to your bank/.exec(page)?.[1] ?? "";
    const answered = await fetch(bank.replaceAll("&amp;", "&"), {
      method: "POST",
      body: "answer=complete",
      redirect: "manual",
    });
    const back = new URL(answered.headers.get("location") ?? "");
    expect(back.searchParams.get("payment_intent_client_secret")).toBeTruthy();
    const landed = await buyer.send(back.pathname + back.search);
    expect([landed.status, landed.headers.get("location")]).toEqual([303, order]);
    await shows(buyer, order, "Show the code");
  });

  it("comes back to a buyer who has not seen the code", async () => {
    const ticket = await seller.follow("/tickets/new", listing(`Back ${crypto.randomUUID()}`));
    const order = await press(buyer, ticket);
    await payWith(buyer, order, "tok_visa");
    await shows(buyer, order, "Give the ticket back");
    await buyer.follow(`${order}?/giveBack`, { requestId: crypto.randomUUID() });
    await shows(buyer, order, "given back");
    await shows(buyer, order, "The whole amount was given back to you.");
  });

  it("is shown to its seller, who can give it back, and to nobody else", async () => {
    const title = `Earned ${crypto.randomUUID()}`;
    const order = await press(buyer, await seller.follow("/tickets/new", listing(title)));
    await payWith(buyer, order, "tok_visa");
    await shows(seller, "/earnings", title);
    expect(await seller.see("/earnings")).toContain("Before you can be paid");
    expect(await late.see("/earnings")).not.toContain(title);
    const refusal = await late.submit("/earnings?/refund", { orderId: order.split("/")[2] ?? "" });
    expect(refusal.status).toBe(404);
    await seller.follow("/earnings?/refund", { orderId: order.split("/")[2] ?? "" });
    await shows(buyer, order, "The whole amount was given back to you.");
    expect((await seller.send("/admin/payments")).status).toBe(404);
  });

  it("is paid out once its seller has told Stripe who they are", async () => {
    const person = await newUser("payee");
    const page = await (await person.submit("/earnings?/onboard", {})).text();
    const stripe = /<a[^>]*href="([^"]*)"[^>]*>Go on at Stripe/.exec(page)?.[1] ?? "";
    expect((await fetch(stripe.replaceAll("&amp;", "&"))).status).toBe(200);
  });
});

describe("the browser's safety", () => {
  it("refuses a form from another site, and from none", async () => {
    for (const origin of ["https://evil.example", "null", undefined]) {
      const headers = {
        "content-type": "application/x-www-form-urlencoded",
        ...(origin ? { origin } : {}),
      };
      const answer = await buyer.send("/sign-out", { method: "POST", headers, body: "" });
      expect(answer.status, String(origin)).toBe(403);
    }
    expect((await buyer.send("/orders")).status).toBe(200);
  });

  it("keeps cookies from scripts, and signed-in pages from caches", async () => {
    const browser = new Browser();
    const answer = await browser.submit("/sign-up", {
      email: `cookies-${crypto.randomUUID()}@example.com`,
      password: crypto.randomUUID(),
    });
    const lines = answer.headers.getSetCookie().filter((line) => line.startsWith("ticketing"));
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toMatch(/; HttpOnly; SameSite=Lax/);
    const page = await browser.send("/orders");
    expect(page.headers.get("cache-control")).toContain("no-store");
    expect(page.headers.get("referrer-policy")).toBe("same-origin");
  });

  it("allows no script, frame or form that is not this page's own", async () => {
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

  it("is open to its owner alone", async () => {
    for (const path of ["/account", "/account/export"]) {
      const answer = await new Browser().send(path);
      expect([answer.status, answer.headers.get("location")], path).toEqual([
        303,
        `/sign-in?next=${encodeURIComponent(path)}`,
      ]);
    }
    for (const browser of [new Browser(), buyer])
      expect((await browser.send("/admin/users")).status).toBe(404);
    const ban = { userId: crypto.randomUUID(), reason: "none" };
    expect((await buyer.submit("/admin/users?/ban", ban)).status).toBe(404);
  });

  it("asks for its address to be confirmed, and shows where one is signed in", async () => {
    const page = await buyer.see("/account");
    expect(page).toContain("not confirmed yet");
    expect(page).toContain("This one");
    expect(await new Browser().see("/sign-in")).toContain("/forgotten-password");
  });

  it("changes its password against the one of now, and ends the other sessions", async () => {
    const email = `changer-${crypto.randomUUID()}@example.com`;
    const [here, elsewhere] = [new Browser(), new Browser()];
    const password = crypto.randomUUID();
    await here.follow("/sign-up", { email, password });
    await elsewhere.follow("/sign-in", { email, password });
    const refused = await here.submit("/account?/password", change);
    expect(refused.status).toBe(401);
    expect(await refused.text()).toContain("The password is not right.");

    await here.follow("/account?/password", { ...change, password });
    expect((await here.send("/account")).status).toBe(200);
    elsewhere.cookies.delete("ticketing_access");
    expect((await elsewhere.send("/account")).status).toBe(303);
    await new Browser().follow("/sign-in", { email, password: change.newPassword });
  });

  it("ends one session, and all of them", async () => {
    const email = `roamer-${crypto.randomUUID()}@example.com`;
    const [here, there, third] = [new Browser(), new Browser(), new Browser()];
    const password = crypto.randomUUID();
    await here.follow("/sign-up", { email, password });
    await there.follow("/sign-in", { email, password });
    const id = field(await here.see("/account"), "id");
    await here.follow("/account?/end", { id });
    there.cookies.delete("ticketing_access");
    expect((await there.send("/account")).status).toBe(303);

    await third.follow("/sign-in", { email, password });
    expect(await here.follow("/account?/everywhere", {})).toBe("/sign-in?done=everywhere");
    expect((await here.send("/account")).status).toBe(303);
    third.cookies.delete("ticketing_access");
    expect((await third.send("/account")).status).toBe(303);
  });

  it("hands out its data as a file that no cache keeps", async () => {
    const title = `Exported ${crypto.randomUUID()}`;
    await seller.follow("/tickets/new", listing(title));
    const answer = await seller.send("/account/export");
    expect(answer.status).toBe(200);
    expect(answer.headers.get("content-disposition")).toContain("attachment");
    expect(answer.headers.get("cache-control")).toBe("private, no-store");
    const data = (await answer.json()) as { listings: { ticket: { title: string } }[] };
    expect(data.listings.map(({ ticket }) => ticket.title)).toContain(title);
  });

  it("is deleted against its password, and nobody signs in to it again", async () => {
    const email = `goer-${crypto.randomUUID()}@example.com`;
    const password = crypto.randomUUID();
    const browser = new Browser();
    await browser.follow("/sign-up", { email, password });
    expect((await browser.submit("/account?/delete", { password: "a guess" })).status).toBe(401);
    expect(await browser.follow("/account?/delete", { password })).toBe("/sign-in?done=deleted");
    expect((await browser.send("/account")).status).toBe(303);
    expect((await new Browser().submit("/sign-in", { email, password })).status).toBe(401);
  });
});

/** Where the newest mail to somebody leads, as soon as it is there. */
async function linkTo(email: string, subject: string): Promise<string> {
  const newest = async () => {
    const mails = (await (await fetch(`${mailboxUrl}/mails`)).json()) as Mail[];
    const mail = mails.find((one) => one.to.includes(email) && one.subject === subject);
    return /https?:\/\/\S+/.exec(mail?.text ?? "")?.[0];
  };
  const link = new URL(await until(newest, { what: `a mail to ${email}` }));
  expect(link.origin).toBe(new URL(url).origin);
  return link.pathname + link.search;
}

describe("a link in a mail", () => {
  it("confirms the address of a new account", async () => {
    const email = `new-${crypto.randomUUID()}@example.com`;
    const browser = new Browser();
    await browser.follow("/sign-up", { email, password: crypto.randomUUID() });
    const link = await linkTo(email, "Welcome to Ticketing");
    await browser.send(link); // A program that looks into mails opens it first.
    const person = new Browser();
    await person.send(link);
    await person.follow("/confirm-email", {});
    await person.send(link);
    expect((await person.submit("/confirm-email", {})).status).toBe(409);
  });

  it("sets a new password in place of a forgotten one", async () => {
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

  it("says the same of a forgotten password, whoever asks", async () => {
    const email = `nobody-${crypto.randomUUID()}@example.com`;
    const browser = new Browser();
    expect(await browser.follow("/forgotten-password", { email })).toBe("/forgotten-password?sent");
    expect(await browser.see("/forgotten-password?sent")).toContain("Look into your mail");
  });

  it("takes an account back at the address that it was moved away from", async () => {
    const [email, newEmail] = ["owner", "thief"].map(
      (name) => `${name}-${crypto.randomUUID()}@example.com`,
    ) as [string, string];
    const [password, newPassword] = [crypto.randomUUID(), crypto.randomUUID()];
    const thief = new Browser();
    await thief.follow("/sign-up", { email, password });
    await thief.follow("/account?/email", { password, newEmail });
    await thief.send(await linkTo(newEmail, "Confirm your new email address"));
    await thief.follow("/confirm-email", {});
    await thief.follow("/sign-in", { email: newEmail, password });

    const owner = new Browser();
    await owner.send(await linkTo(email, "Your email address was changed"));
    expect(await owner.see("/undo-email-change")).toContain("Restore your email address");
    const led = await owner.follow("/undo-email-change", { newPassword });
    expect(await owner.see(led)).toContain("has its former address again");
    await owner.follow("/sign-in", { email, password: newPassword });
    expect(await owner.see("/account")).toContain(email);
    thief.cookies.delete("ticketing_access");
    expect((await thief.send("/account")).status).toBe(303);
  });

  it.each(["/reset-password", "/confirm-email", "/undo-email-change"])(
    "leaves its token in no address, no cache and no Referer: %s",
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

      const answer = await browser.submit(path, { newPassword: "a wholly new sentence" });
      expect(answer.status).toBe(409);
      expect(await answer.text()).toContain("used, or is too old");
    },
  );
});
