import { rm } from "node:fs/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "#stack/process";
import type { System } from "#stack/launcher";
import { startMarketplace } from "./testing/marketplace.ts";
import { clients, listTicket, signUp, transportTo } from "./testing/person.ts";
import { toRpcError } from "./testing/rpc-error.ts";
import { formOn, Browser } from "./testing/browser.ts";

// A marketplace with the rules of decision 28, which the other tests turn off.

const NETWORK_HOLDS = 5;

let dir: string;
let system: System;
beforeAll(async () => {
  const env = {
    REQUIRE_CONFIRMED_EMAIL: "true",
    MAX_HOLDS_PER_NETWORK: String(NETWORK_HOLDS),
    CALL_TIMEOUT_SECONDS: "60", // A busy machine is slow, which is not a failure.
  };
  ({ dir, system } = await startMarketplace("crowd", { env }));
});
afterAll(async () => {
  await system.stop();
  await rm(dir, { recursive: true, force: true });
});

/** Opens the link in the first mail to this address, by default on another device. */
async function confirm(email: string, browser = new Browser(system.url)): Promise<void> {
  type Mail = { to: string[]; text: string };
  const welcome = async () => {
    const mails = (await (await fetch(`${system.mailbox}/mails`)).json()) as Mail[];
    const text = mails.find(({ to }) => to.includes(email))?.text;
    return /https?:\/\/\S+/.exec(text ?? "")?.[0];
  };
  const { pathname, search } = new URL(
    await until(welcome, { what: `a mail to ${email}`, timeoutMs: 60_000 }),
  );
  await browser.send(pathname + search);
  expect(await browser.follow("/confirm-email", {})).toBe("/confirm-email?done");
}

it.each(["the same device", "another device"])(
  "Buy requires a confirmed address, and works once it is confirmed on %s",
  async (device) => {
    const { id } = await listTicket(await signUp(system.url, "seller"));
    const [email, buyer] = [`${crypto.randomUUID()}@example.com`, new Browser(system.url)];
    await buyer.follow("/sign-up", { email, password: crypto.randomUUID() });
    const press = async () =>
      buyer.submit(`/tickets/${id}?/buy`, formOn(await buyer.see(`/tickets/${id}`), "?/buy"));
    const refused = await press();
    expect(refused.status).toBe(409);
    expect(await refused.text()).toMatch(
      /Confirm your email address first.*<a href="\/account#email">Send a new link<\/a>/s,
    );
    await confirm(email, device === "another device" ? undefined : buyer);
    const held = await press();
    expect([held.status, held.headers.get("location")]).toEqual([
      303,
      expect.stringMatching(/^\/orders\/./),
    ]);
  },
);

/** A user whose access token has a confirmed address. */
async function confirmedPerson(name: string) {
  const { email, refreshToken, auth } = await signUp(system.url, name);
  await confirm(email);
  const { tokens } = await auth.refreshSession({ refreshToken });
  return clients(transportTo(system.url, tokens?.accessToken));
}

it("many users at one address together cannot hold more tickets than the limit of a network", async () => {
  const seller = await signUp(system.url, "seller");
  const reasons = await Promise.all(
    Array.from({ length: NETWORK_HOLDS + 3 }, async (_, i) => {
      const [person, { id }] = await Promise.all([confirmedPerson(`one-${i}`), listTicket(seller)]);
      const pressed = person.orders.createOrder({ ticketId: id });
      return pressed.then(
        () => "held",
        (error: unknown) => toRpcError(error).reason,
      );
    }),
  );
  const refused = reasons.filter((reason) => reason !== "held");
  expect(refused.length).toBeGreaterThanOrEqual(3);
  expect(new Set(refused)).toEqual(new Set(["TOO_MANY_HOLDS_FROM_NETWORK"]));
});
