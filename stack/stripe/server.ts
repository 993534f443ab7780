import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import Stripe from "stripe";
import { answer, type Parts } from "./api/api.ts";
import { challenge } from "./payments/challenge.ts";
import { Faults } from "./requests/faults.ts";
import { IdempotencyKeys } from "./requests/idempotency.ts";
import { expire, overdue } from "./payments/intents.ts";
import { Journal } from "./store/journal.ts";
import { onboarding } from "./connect/onboarding.ts";
import { callTestApi } from "./switches.ts";
import { unasked } from "./store/unit.ts";
import { type Endpoint, Webhooks } from "./store/webhooks.ts";

const EACH_SECOND = 1_000;

/** The HTML pages, by the first part of the path. */
const pages: Partial<Record<string, typeof challenge>> = { challenge, onboarding };

/** The options of a local Stripe. */
export interface StripeOptions {
  /** The port, or 0 for any free port. */
  port: number;
  /** The address to listen on. By default, the loopback address. */
  host?: string;
  /** Contains the state. */
  dir: string;
  /** The only accepted key. */
  secretKey: string;
  /** The endpoint that receives events. Without it no events are sent. */
  webhook?: Endpoint | undefined;
  /** The URL of this Stripe for browsers, if it differs from the URL for API clients. */
  publicUrl?: string | undefined;
  /** Enables the test API under /_test. */
  test?: boolean;
}

/** A running local Stripe. */
export interface RunningStripe {
  port: number;
  close(): Promise<void>;
}

/** Starts a local Stripe with the state that an earlier one has stored in the folder. */
export async function startStripe(options: StripeOptions): Promise<RunningStripe> {
  const server = createServer();
  // The port is bound first, so that a second Stripe on it fails before it opens the file of the first.
  server.listen(options.port, options.host ?? "127.0.0.1");
  await once(server, "listening");

  const journal = new Journal(options.dir);
  const faults = new Faults();
  const webhooks = options.webhook ? new Webhooks(options.webhook, journal) : undefined;
  const keys = new IdempotencyKeys(journal);
  const parts: Parts = { journal, faults, keys, webhooks, secretKey: options.secretKey };
  const clock = setInterval(() => expireOverdue(parts), EACH_SECOND);
  server.on("request", (req, res) => {
    // A connection closes after its response during a shutdown, which would otherwise wait for it.
    res.once("close", () => server.listening || server.closeIdleConnections());
    handle(parts, options, req, res).catch((error: unknown) => {
      if (!req.destroyed) console.error(error);
      // An incomplete response must not look complete.
      if (res.headersSent || res.destroyed) return void res.destroy();
      json(res, 500, { error: { type: "api_error", message: "An unknown error occurred." } });
    });
  });
  server.on("error", (error) => console.error(error)); // A connection cannot be accepted.

  async function stop(): Promise<void> {
    clearInterval(clock);
    const closed = once(server, "close");
    server.close();
    server.closeIdleConnections();
    faults.clear(); // Requests that a fault delays continue.
    await closed;
    await webhooks?.close();
    journal.close();
  }
  let stopped: Promise<void> | undefined;
  return {
    port: (server.address() as AddressInfo).port,
    close: () => (stopped ??= stop()),
  };
}

/** Expires authorizations that were not captured in time. */
function expireOverdue(parts: Parts): void {
  try {
    unasked(parts, (unit) => {
      for (const intent of unit.all("payment_intent")) {
        if (overdue(unit, intent)) expire(unit, intent);
      }
    });
  } catch (error) {
    console.error(error); // It is retried after a second.
  }
}

/** The URL of the request, or null if it is invalid, such as "//[". */
const addressOf = ({ url = "/" }: IncomingMessage): URL | null =>
  URL.parse(url, "http://stripe.local");

async function handle(
  parts: Parts,
  options: StripeOptions,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const { method = "GET", headers } = req;
  const url = addressOf(req);
  const body = await text(req);
  if (!url) {
    const message = "The address of the request cannot be read.";
    return json(res, 400, { error: { type: "invalid_request_error", message } });
  }
  const page = pages[url.pathname.split("/")[1] ?? ""];
  if (page) {
    const { status, html = "", location } = page(parts, method, url, body);
    const shown = { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" };
    return void res.writeHead(status, location ? { location } : shown).end(html);
  }
  if (url.pathname.startsWith("/_test/") && options.test) {
    try {
      return json(res, 200, callTestApi(parts, method, url.pathname, body));
    } catch (error) {
      return json(res, 400, { error: String(error) });
    }
  }
  const idempotencyKey = headers["idempotency-key"];
  const reply = await answer(parts, {
    method,
    url,
    body,
    authorization: headers.authorization,
    idempotencyKey: typeof idempotencyKey === "string" ? idempotencyKey : undefined,
    base: options.publicUrl ?? `http://${headers.host}`,
  });
  if (reply.dropped) return void res.destroy();
  const version = headers["stripe-version"] ?? Stripe.API_VERSION;
  json(res, reply.status, reply.body, { ...reply.headers, "stripe-version": String(version) });
}

function json(
  res: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  res.writeHead(status, { "content-type": "application/json", ...headers });
  res.end(`${JSON.stringify(body, null, 2)}\n`);
}
