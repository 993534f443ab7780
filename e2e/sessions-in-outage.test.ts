import { rm } from "node:fs/promises";
import mongoose from "mongoose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { until } from "#stack/process";
import type { System } from "#stack/launcher";
import { startMarketplace } from "./testing/marketplace.ts";
import { formOn } from "./testing/browser.ts";

// A user with a browser, while auth's database is frozen or down. The storefront's server renews the
// session, and forwards the changes of its cookies.

let dir: string;
let system: System;

beforeAll(async () => {
  ({ dir, system } = await startMarketplace("outage", { instances: 1 }));
});
afterAll(async () => {
  await system.stop();
  await rm(dir, { recursive: true, force: true, maxRetries: 3 });
});

const jarOf = (answer: Response): Map<string, string> =>
  new Map(
    answer.headers.getSetCookie().map((line) => /^([^=]+)=([^;]*)/.exec(line)!.slice(1, 3)) as [
      string,
      string,
    ][],
  );

/** A browser whose access token has expired: only its refresh token is left. */
async function returningBrowser() {
  const credentials = {
    email: `${crypto.randomUUID()}@example.com`,
    password: crypto.randomUUID(),
  };
  const signedUp = await fetch(`${system.url}/sign-up`, {
    method: "POST",
    redirect: "manual",
    headers: { origin: system.url, "content-type": "application/x-www-form-urlencoded" },
    body: new URLSearchParams(credentials).toString(),
  });
  const refresh = jarOf(signedUp).get("ticketing_refresh") ?? "";
  expect(refresh).not.toBe("");
  const headers = { cookie: `ticketing_refresh=${refresh}`, accept: "text/html" };
  const open = () => fetch(`${system.url}/account`, { redirect: "manual", headers });
  const send = (path: string, fields: Record<string, string>) =>
    fetch(system.url + path, {
      method: "POST",
      redirect: "manual",
      headers: {
        ...headers,
        origin: system.url,
        "content-type": "application/x-www-form-urlencoded",
      },
      body: new URLSearchParams(fields).toString(),
    });
  return { open, send, id: refresh.split(".")[0]! };
}

/** The page reports an error of the server, and changes no cookie. */
async function expectUnavailable(open: () => Promise<Response>): Promise<void> {
  const answer = await open();
  expect(answer.status).toBe(503);
  expect(answer.headers.getSetCookie()).toEqual([]);
}

it("a frozen database signs no user out, even if it renews sessions after the client has timed out", async () => {
  const mongo = system.parts.mongo!;
  const db = await mongoose.createConnection(mongo.databaseUrl("auth")).asPromise();
  try {
    const sessions = db.collection<{ _id: string; unanswered?: boolean }>("sessions");
    const { open, id } = await returningBrowser();
    mongo.kill("SIGSTOP");
    await expectUnavailable(open).finally(() => mongo.kill("SIGCONT"));
    const renewed = () => sessions.findOne({ _id: id, unanswered: true });
    await until(renewed, { what: "the late renewal", timeoutMs: 60_000 });
    // Long afterwards, the second use of a refresh token counts as theft.
    await sessions.updateOne({ _id: id }, { $set: { rotatedAt: new Date(0) } });
    const answer = await open();
    expect(answer.status).toBe(200);
    expect(jarOf(answer).get("ticketing_refresh")).toMatch(new RegExp(`^${id}\\.2\\.`));
  } finally {
    await db.close();
  }
});

it("while no session can be verified, the error page keeps the form, which one press submits again", async () => {
  const mongo = system.parts.mongo!;
  const { send } = await returningBrowser();
  const typed = { title: "Typed meanwhile", price: "25", currency: "EUR" };
  mongo.kill("SIGSTOP");
  const answer = await send("/tickets/new", typed).finally(() => mongo.kill("SIGCONT"));
  const page = await answer.text();
  expect([answer.status, page.includes("Send again")], page).toEqual([503, true]);
  const again = formOn(page, "/tickets/new");
  expect(again).toEqual(typed);
  const isListed = async () => (await send("/tickets/new", again)).status === 303;
  await until(isListed, { what: "the ticket to be listed", timeoutMs: 60_000 });
});

it("a database that is down signs no user out", async () => {
  const mongo = system.parts.mongo!;
  const { open } = await returningBrowser();
  mongo.kill("SIGKILL");
  await mongo.child.exited;
  await expectUnavailable(open).finally(() => mongo.restart());
  const isSignedIn = async () => (await open()).status === 200;
  await until(isSignedIn, { what: "the person to be signed in", timeoutMs: 60_000 });
});
