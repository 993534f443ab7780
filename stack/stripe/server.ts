import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import Stripe from "stripe";
import { answer, type Parts } from "./api.ts";
import { challenge } from "./challenge.ts";
import { Faults } from "./faults.ts";
import { IdempotencyKeys } from "./idempotency.ts";
import { Journal } from "./journal.ts";
import { switches } from "./switches.ts";
import { type Endpoint, Webhooks } from "./webhooks.ts";

/** How to start. */
export interface StripeOptions {
  /** 0 for any that is free. */
  port: number;
  /** The address to listen on; this machine only unless said. */
  host?: string;
  /** Where the state is kept. */
  dir: string;
  /** The only key that is let in. */
  secretKey: string;
  /** Where events go; without it nobody is told. */
  webhook?: Endpoint | undefined;
  /** How browsers reach this Stripe, if not as its callers do. */
  publicUrl?: string | undefined;
  /** Opens the switches under /_test. */
  test?: boolean;
}

/** A Stripe that runs. */
export interface RunningStripe {
  port: number;
  close(): Promise<void>;
}

/** Starts a local Stripe: the state of an earlier one in the same folder is taken over. */
export async function startStripe(options: StripeOptions): Promise<RunningStripe> {
  const server = createServer();
  // The port comes first, so that a second Stripe on it fails before it touches the first one's file.
  server.listen(options.port, options.host ?? "127.0.0.1");
  await once(server, "listening");

  const journal = new Journal(options.dir);
  const faults = new Faults();
  const webhooks = options.webhook ? new Webhooks(options.webhook, journal) : undefined;
  const keys = new IdempotencyKeys(journal);
  const parts: Parts = { journal, faults, keys, webhooks, secretKey: options.secretKey };
  server.on("request", (req, res) => {
    // Who was answered while we stop is not waited for again.
    res.once("close", () => server.listening || server.closeIdleConnections());
    handle(parts, options, req, res).catch((error: unknown) => {
      if (!req.destroyed) console.error(error);
      res.destroy();
    });
  });

  async function stop(): Promise<void> {
    const closed = once(server, "close");
    server.close();
    server.closeIdleConnections();
    faults.clear(); // whoever is held up goes on
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

async function handle(
  parts: Parts,
  options: StripeOptions,
  req: IncomingMessage,
  res: ServerResponse,
): Promise<void> {
  const { method = "GET", headers } = req;
  const url = new URL(req.url ?? "/", "http://stripe.local");
  const body = await text(req);
  if (url.pathname.startsWith("/challenge/")) {
    const { status, html = "", location } = challenge(parts, method, url, body);
    const type = { "content-type": "text/html; charset=utf-8" };
    return void res.writeHead(status, location ? { location } : type).end(html);
  }
  if (url.pathname.startsWith("/_test/") && options.test) {
    return turn(parts, `${method} ${url.pathname}`, body, res);
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

function turn(parts: Parts, name: string, body: string, res: ServerResponse): void {
  const work = Object.hasOwn(switches, name) ? switches[name] : undefined;
  if (!work) return json(res, 404, { error: `no switch ${name}` });
  try {
    const result = work(parts, body === "" ? {} : JSON.parse(body));
    json(res, 200, result ?? {});
  } catch (error) {
    json(res, 400, { error: String(error) });
  }
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
