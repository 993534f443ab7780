import { beforeAll, describe, expect, inject, it } from "vitest";
import { until } from "#stack/process";
import { field, formOn, newUser, Browser } from "./testing/browser.ts";

const { url } = inject("marketplace");

let seller: Browser;
beforeAll(async () => {
  seller = await newUser("seller");
});

const listing = (fields: Record<string, string> = {}) => ({
  ...{ title: `Concert ${crypto.randomUUID()}`, price: "25.00", currency: "EUR" },
  requestId: crypto.randomUUID(),
  ...fields,
});

async function stored(ticket: string): Promise<Record<string, unknown>> {
  const response = await seller.send(`/api${ticket}`);
  return ((await response.json()) as { ticket: Record<string, unknown> }).ticket;
}

/** Sends a form after the session has ended, then signs in again. Returns the error page. */
async function sendSignedOut(path: string, fields: Record<string, string>): Promise<string> {
  const session = new Map(seller.cookies);
  seller.cookies.clear();
  const response = await seller.submit(path, fields);
  for (const [name, value] of session) seller.cookies.set(name, value);
  const page = await response.text();
  expect(response.status, page).toBe(401);
  expect(page).toContain('href="/sign-in"');
  return page;
}

describe("a form that is sent after the session has ended", () => {
  it("lists the ticket with one press after signing in", async () => {
    const typed = listing({ venue: "Hall <b>& more", code: "line one\r\nline two" });
    const page = await sendSignedOut("/tickets/new", typed);
    expect(page).toContain(typed.title);
    const again = formOn(page, "/tickets/new");
    const ticket = await seller.follow("/tickets/new", again);
    expect(await stored(ticket)).toMatchObject({ title: typed.title, hasCode: true });
  });

  it("changes the ticket after signing in", async () => {
    const ticket = await seller.follow("/tickets/new", listing());
    const form = formOn(await seller.see(`${ticket}/edit`), "?/save");
    const page = await sendSignedOut(`${ticket}/edit?/save`, { ...form, title: "Typed late" });
    await seller.follow(`${ticket}/edit?/save`, formOn(page, `${ticket}/edit`));
    expect(await stored(ticket)).toMatchObject({ title: "Typed late" });
  });

  it("is kept without its password", async () => {
    const newEmail = `new-${crypto.randomUUID()}@example.com`;
    const password = `secret-${crypto.randomUUID()}`;
    const page = await sendSignedOut("/account?/changeEmail", { newEmail, password });
    expect(page).toContain(newEmail);
    expect(page).not.toContain(password);
    const form = formOn(page, "/account");
    expect(form).toEqual({ newEmail });
  });

  it("stays on the page of a browser with JavaScript, which shows a message and does not navigate", async () => {
    const headers = {
      ...{ accept: "application/json", "x-sveltekit-action": "true", origin: url },
      "content-type": "application/x-www-form-urlencoded",
    };
    const body = new URLSearchParams(listing()).toString();
    const response = await new Browser().send("/tickets/new", { method: "POST", headers, body });
    expect(response.status).toBe(401);
    expect(await response.json()).toMatchObject({
      type: "error",
      error: { message: expect.stringContaining("sign in, then send the form again") },
    });
  });
});

describe("the input for a ticket", () => {
  it("is kept while someone buys the ticket, and can be saved once it is available again", async () => {
    const ticket = await seller.follow("/tickets/new", listing());
    const form = formOn(await seller.see(`${ticket}/edit`), "?/save");
    const buyer = await newUser("buyer");
    const buyForm = formOn(await buyer.see(ticket), "?/buy");
    const order = await buyer.follow(`${ticket}?/buy`, buyForm);
    const isHeld = async () => (await stored(ticket))["status"] === "TICKET_STATUS_HELD";
    await until(isHeld, { what: "the hold" });
    const response = await seller.submit(`${ticket}/edit?/save`, {
      ...form,
      title: "Typed meanwhile",
    });
    const page = await response.text();
    expect([response.status, page.includes("Someone is buying this ticket")]).toEqual([409, true]);
    await buyer.follow(`${order}?/cancel`, {});
    await until(async () => !(await isHeld()), { what: "the ticket to be free" });
    await seller.follow(`${ticket}/edit?/save`, formOn(page, "?/save"));
    expect(await stored(ticket)).toMatchObject({ title: "Typed meanwhile" });
  });

  it("is kept in the form that relists it", async () => {
    const ticket = await seller.follow("/tickets/new", listing());
    await seller.follow(`${ticket}/edit?/withdraw`, {});
    const code = "x".repeat(4_097);
    const response = await seller.submit(`${ticket}/edit?/relist`, { code });
    expect(response.status).toBe(400);
    expect(formOn(await response.text(), "?/relist")["code"]).toBe(code);
  });
});

describe("a form", () => {
  it("accepts a code of 4,095 characters on 128 lines", async () => {
    const code = Array.from({ length: 128 }, () => "x".repeat(31)).join("\r\n");
    const ticket = await seller.follow("/tickets/new", listing({ code }));
    expect(await stored(ticket)).toMatchObject({ hasCode: true });
  });

  it("accepts a price in the digits of any script", async () => {
    for (const [price, units] of [
      ["２５００", "2500"],
      ["٢٥", "25"],
    ] as const) {
      const ticket = await seller.follow("/tickets/new", listing({ price }));
      expect(await stored(ticket)).toMatchObject({ price: { currencyCode: "EUR", units } });
    }
  });

  it.each([
    ["2030-02-30T20:00", "This date or time doesn’t exist."],
    ["2030-03-31T02:30", "skip this time"],
    ["2020-06-04T20:00", "in the future, at most ten years ahead"],
    ["9999-06-04T20:00", "in the future, at most ten years ahead"],
  ])("rejects an event at %s with a message beside the field", async (eventTime, message) => {
    const typed = listing({ eventTime, timeZone: "Europe/Berlin" });
    const response = await seller.submit("/tickets/new", typed);
    const page = await response.text();
    expect([response.status, page.includes(message)], page).toEqual([400, true]);
    expect(field(page, "eventTime")).toBe(eventTime);
    expect(page).toMatch(/<option[^>]*value="Europe\/Berlin"[^>]* selected/);
  });
});

describe("the time of an event", () => {
  const eventTime = "2030-06-05T20:00";

  it("is shown in the time at the venue and, if it differs, in the user's own time", async () => {
    const typed = listing({ eventTime, timeZone: "America/New_York" });
    const ticket = await seller.follow("/tickets/new", typed);
    expect(await stored(ticket)).toMatchObject({
      eventTime: "2030-06-06T00:00:00Z",
      timeZone: "America/New_York",
    });
    const browser = new Browser();
    browser.cookies.set("time-zone", "Europe%2FBerlin");
    for (const path of [ticket, `/?q=${encodeURIComponent(typed.title)}`]) {
      const page = await browser.see(path);
      expect(page).toMatch(/8:00\sPM in New York/);
      expect(page).toMatch(/2:00\sAM[^<]* your time/);
    }
    browser.cookies.set("time-zone", "America%2FToronto");
    expect(await browser.see(ticket)).not.toContain("your time");
  });

  it("is entered in the user's time zone, or in the ticket's own if it has one", async () => {
    const browser = await newUser("traveller");
    browser.cookies.set("time-zone", "Asia%2FTokyo");
    const selected = /<option[^>]*value="([^"]*)"[^>]* selected[^>]*>[^<]*\//;
    expect(selected.exec(await browser.see("/tickets/new"))?.[1]).toBe("Asia/Tokyo");
    const fields = listing({ eventTime, timeZone: "America/New_York" });
    const ticket = await browser.follow("/tickets/new", fields);
    const form = formOn(await browser.see(`${ticket}/edit`), "?/save");
    expect(form).toMatchObject({ eventTime, timeZone: "America/New_York" });
  });

  it("stays the same to the second, even in an hour that occurs twice", async () => {
    const typed = { eventTime: "2030-10-27T01:30:45Z", timeZone: "Europe/Berlin" };
    const ticket = await seller.follow("/tickets/new", listing(typed));
    const form = formOn(await seller.see(`${ticket}/edit`), "?/save");
    expect(form["eventTime"]).toBe("2030-10-27T02:30");
    await seller.follow(`${ticket}/edit?/save`, { ...form, title: "Another title" });
    expect(await stored(ticket)).toMatchObject({ title: "Another title", ...typed });
  });
});

describe("an address", () => {
  it.each([
    ...["/orders?page=abc", "/orders?filter=past&page=abc", "/orders?filter=none"],
    ...["/listings?page=abc", "/earnings?page=abc", "/account?done=abc"],
    ...["/?page=abc", "/?page=abc&q=hall&sort=none&category=none&currency=none"],
    ...[`/?q=${"a".repeat(199)}%F0%9F%8E%B8`, `/?q=${"%F0%9F%8E%B8".repeat(300)}`, "/?q=%00%ff"],
    ...[`/orders?page=${"a".repeat(2_000)}`, "/sign-in?done=abc&next=abc"],
  ])("%s shows its page and ignores invalid parameters", async (path) => {
    const browser = path.startsWith("/sign-in") ? new Browser() : seller;
    const response = await browser.send(path, { headers: { accept: "text/html" } });
    if (response.status === 200) return;
    const location = response.headers.get("location") ?? "";
    expect([response.status, location.startsWith("/sign-in")], path).toEqual([303, false]);
    await browser.see(location);
  });
});

describe("buying", () => {
  it("leads a signed-out user through the sign-in to a second press that reserves the ticket", async () => {
    const ticket = await seller.follow("/tickets/new", listing());
    const signedOut = new Browser();
    const page = await signedOut.see(ticket);
    expect(page).toContain("Sign in first, then press Buy again");
    const form = formOn(page, "?/buy");
    const signIn = await signedOut.follow(`${ticket}?/buy`, form);
    const next = new URL(signIn, url).searchParams.get("next") ?? "";
    expect(next).toBe(`${ticket}?buy`);
    const account = {
      email: `late-${crypto.randomUUID()}@example.com`,
      password: "a long sentence",
    };
    expect(await signedOut.follow("/sign-up", { ...account, next })).toBe(next);

    const back = await signedOut.see(next);
    expect(back).toContain("Press Buy again to reserve this ticket");
    const order = await signedOut.follow(`${ticket}?/buy`, formOn(back, "?/buy"));
    expect(await signedOut.see(order)).toContain("Reserved for you");
  });
});

describe("a cache", () => {
  it("stores no page and no data, signed in or not", async () => {
    const ticket = await seller.follow("/tickets/new", listing());
    for (const browser of [new Browser(), seller])
      for (const path of ["/", ticket, "/orders", "/nothing-here", `${ticket}/__data.json`]) {
        const response = await browser.send(path);
        expect(response.headers.get("cache-control"), path).toContain("no-store");
      }
  });

  it("stores scripts and styles for good, because their names change with their content", async () => {
    const page = await new Browser().see("/");
    const asset = /href="\.?(\/_app\/immutable\/[^"]+)"/.exec(page)?.[1] ?? "";
    const response = await fetch(url + asset);
    expect(response.headers.get("cache-control")).toContain("immutable");
  });
});
