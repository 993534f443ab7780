import { beforeAll, describe, expect, inject, it } from "vitest";
import { until } from "#stack/process.ts";
import "./setup.ts"; // For the type of what it provides.

const { url } = inject("place");

/** A browser without JavaScript: a cookie jar that follows links and sends forms. */
class Visitor {
  readonly cookies = new Map<string, string>();

  async send(path: string, init: RequestInit = {}): Promise<Response> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const answer = await fetch(url + path, {
      ...init,
      redirect: "manual",
      headers: { ...(init.headers as Record<string, string>), ...(cookie ? { cookie } : {}) },
    });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/max-age=0/i.test(line) || value === "") this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return answer;
  }

  /** The page at a path, as a person would read it. */
  async see(path: string): Promise<string> {
    const page = await this.send(path, { headers: { accept: "text/html" } });
    expect(page.status, path).toBe(200);
    return page.text();
  }

  submit(path: string, fields: Record<string, string>): Promise<Response> {
    const headers = {
      "content-type": "application/x-www-form-urlencoded",
      origin: url,
      accept: "text/html",
    };
    return this.send(path, {
      method: "POST",
      headers,
      body: new URLSearchParams(fields).toString(),
    });
  }

  /** Sends a form, and answers where it leads. */
  async follow(path: string, fields: Record<string, string>): Promise<string> {
    const answer = await this.submit(path, fields);
    expect(answer.status, `${path}: ${await answer.clone().text()}`).toBe(303);
    return answer.headers.get("location") ?? "";
  }
}

async function member(name: string): Promise<Visitor> {
  const visitor = new Visitor();
  const email = `${name}-${crypto.randomUUID()}@example.com`;
  await visitor.follow("/sign-up", { email, password: crypto.randomUUID() });
  return visitor;
}

/** A hidden field's value, as the page gave it. */
function field(page: string, name: string): string {
  const input = [...page.matchAll(/<input[^>]*>/g)]
    .map(([tag]) => tag)
    .find((tag) => tag.includes(`name="${name}"`));
  return /value="([^"]*)"/.exec(input ?? "")?.[1] ?? "";
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

async function press(buyer: Visitor, ticket: string): Promise<string> {
  const page = await buyer.see(ticket);
  const fields = {
    ticketVersion: field(page, "ticketVersion"),
    requestId: field(page, "requestId"),
  };
  expect(fields.ticketVersion).not.toBe("");
  return buyer.follow(`${ticket}?/buy`, fields);
}

let seller: Visitor, buyer: Visitor, late: Visitor;
beforeAll(async () => {
  [seller, buyer, late] = (await Promise.all(["seller", "buyer", "late"].map(member))) as [
    Visitor,
    Visitor,
    Visitor,
  ];
});

describe("a person without JavaScript", () => {
  it("can list, find, buy and pay, and reads the code", async () => {
    const title = `Recital ${crypto.randomUUID()}`;
    const ticket = await seller.follow("/tickets/new", listing(title));
    expect(await new Visitor().see(`/?q=${encodeURIComponent(title)}`)).toContain(title);
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
    await until(async () => (await buyer.see(order)).includes(`door-${title}`), {
      what: "the code",
      timeoutMs: 15_000,
    });
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
    const visitor = await member("leaver");
    expect((await visitor.send("/orders")).status).toBe(200);
    await visitor.follow("/sign-out", {});
    expect([...visitor.cookies.keys()].filter((name) => name.startsWith("ticketing"))).toEqual([]);
    expect((await visitor.send("/orders")).status).toBe(303);
  });

  it("stays signed in when the access token has gone, by the refresh token", async () => {
    const visitor = await member("stayer");
    const before = visitor.cookies.get("ticketing_refresh");
    visitor.cookies.delete("ticketing_access");
    expect((await visitor.send("/orders")).status).toBe(200);
    expect(visitor.cookies.get("ticketing_access")).toBeTruthy();
    expect(visitor.cookies.get("ticketing_refresh")).not.toBe(before);
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
    const visitor = new Visitor();
    const answer = await visitor.submit("/sign-up", {
      email: `cookies-${crypto.randomUUID()}@example.com`,
      password: crypto.randomUUID(),
    });
    const lines = answer.headers.getSetCookie().filter((line) => line.startsWith("ticketing"));
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line).toMatch(/; HttpOnly; SameSite=Lax/);
    const page = await visitor.send("/orders");
    expect(page.headers.get("cache-control")).toContain("no-store");
    expect(page.headers.get("content-security-policy")).toContain("default-src 'none'");
  });
});
