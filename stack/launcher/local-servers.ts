import { existsSync } from "node:fs";
import { join } from "node:path";
import { startPart, ownerVariables, type Part } from "#stack/parts";
import { type Child, freePort, freePorts, run, until } from "#stack/process";
import { HEAP_OPTIONS } from "./instance.ts";

// The local Stripe, the mailbox and the storefront, each in a process of its own.

const root = join(import.meta.dirname, "../..");

interface ServerOptions {
  /** Contains data and logs. */
  readonly dir: string;
  /** Enables the test API of the local Stripe. */
  readonly test?: boolean;
  readonly onLine?: (name: string, line: string) => void;
}

/** A local server and its URL. */
export interface LocalServer {
  part: Part;
  url: string;
}

/** Starts the local Stripe, which stands in for the real one. */
export async function startStripe(
  options: ServerOptions,
  settings: { key: string; webhookSecret: string; edgeUrl: string },
): Promise<LocalServer> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const start = (): Child =>
    run("stripe", process.execPath, [join(root, "stack/stripe/main.ts")], {
      cwd: root,
      env: {
        ...ownerVariables(options.dir),
        STRIPE_PORT: String(port),
        STRIPE_DIR: join(options.dir, "stripe"),
        STRIPE_KEY: settings.key,
        STRIPE_WEBHOOK_URL: `${settings.edgeUrl}/webhooks/stripe`,
        STRIPE_WEBHOOK_SECRET: settings.webhookSecret,
        STRIPE_TEST: String(options.test ?? false),
      },
      logFile: join(options.dir, "logs/stripe.log"),
      onLine: (line) => options.onLine?.("stripe", line),
    });
  const ready = (child: Child) =>
    until(() => fetch(url).then(() => true), { what: "the local Stripe", child });
  return { url, part: await startPart(start, ready) };
}

/** The mailbox: `url` shows the mails, `smtp` accepts them. */
interface LocalMailbox extends LocalServer {
  smtp: string;
}

/** Starts a mailbox that accepts and shows all emails of the marketplace. */
export async function startMailbox(options: ServerOptions): Promise<LocalMailbox> {
  const [smtp, page] = (await freePorts(2)) as [number, number];
  const start = (): Child =>
    run("mailbox", process.execPath, [join(root, "stack/mailbox/main.ts")], {
      cwd: root,
      env: {
        ...ownerVariables(options.dir),
        MAILBOX_DIR: join(options.dir, "mailbox"),
        SMTP_PORT: String(smtp),
        MAILBOX_PORT: String(page),
      },
      logFile: join(options.dir, "logs/mailbox.log"),
      onLine: (line) => options.onLine?.("mailbox", line),
    });
  const url = `http://127.0.0.1:${page}`;
  const ready = (child: Child) =>
    until(() => fetch(url).then(() => true), { what: "the mailbox", child });
  return { part: await startPart(start, ready), url, smtp: `smtp://127.0.0.1:${smtp}` };
}

/** Starts the storefront's server, which must have been built. */
export async function startWeb(
  options: ServerOptions,
  variables: Readonly<Record<string, string>>,
): Promise<LocalServer> {
  const server = join(root, "web/build/index.js");
  if (!existsSync(server)) throw new Error("The storefront is not built: npm run build -w web");
  const port = await freePort();
  const start = (): Child =>
    run("web", process.execPath, [...HEAP_OPTIONS, server], {
      cwd: join(root, "web"),
      env: {
        ...ownerVariables(options.dir),
        HOST: "127.0.0.1",
        PORT: String(port),
        PROTOCOL_HEADER: "x-forwarded-proto",
        ADDRESS_HEADER: "x-forwarded-for",
        HOST_HEADER: "x-forwarded-host",
        BODY_SIZE_LIMIT: "64K",
        ...variables,
      },
      logFile: join(options.dir, "logs/web.log"),
      onLine: (line) => options.onLine?.("web", line),
    });
  const url = `http://127.0.0.1:${port}`;
  const ready = (child: Child) =>
    until(async () => (await fetch(`${url}/healthz`)).ok, { what: "the storefront", child });
  return { part: await startPart(start, ready), url };
}
