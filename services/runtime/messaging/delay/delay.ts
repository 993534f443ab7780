import type { Broker } from "../broker/broker.ts";
import { connectDelayPlugin, type DelayPlugin } from "./plugin.ts";
import type { Log } from "../../log.ts";
import { publishDelayed, longestTierWithin, type DelayedMessage } from "../delayed-message.ts";

/** Delivers messages to the service's queue after a delay. The broker keeps them meanwhile. */
export interface DelayedDelivery {
  /**
   * Resolves when the broker has confirmed the message. It is delivered at the given time or earlier.
   * An early message must be scheduled again.
   */
  schedule(message: DelayedMessage, at: Date): Promise<void>;
  close(): Promise<void>;
}

/** `plugin` needs the broker's plugin, `native` uses delay queues, `auto` prefers the plugin. */
export const DELAY_MODES = ["auto", "plugin", "native"] as const;
export type DelayMode = (typeof DELAY_MODES)[number];

interface Options {
  broker: Broker;
  /** The broker's address, for a connection of its own. */
  url: string;
  /** Messages are delivered to this service's queue. */
  service: string;
  mode: DelayMode;
  log: Log;
  now?: () => number;
}

/** The delay before the plugin is looked for again: after no response, or after its connection was lost. */
const RETRY_MS = 1_000;

/**
 * Delays messages in the delayed exchange of the broker's plugin or, without the plugin, in delay queues,
 * which every broker has. After each reconnect the plugin is looked for again: the broker may be another
 * one. The delay queues always exist, and take what the plugin does not accept.
 */
export async function startDelayedDelivery(options: Options): Promise<DelayedDelivery> {
  const { broker, service, mode, log, now = Date.now } = options;
  const finder = new PluginFinder(options);
  broker.onConnect(() => void finder.find());
  const missing = await finder.find();
  if (missing && mode === "plugin") {
    await finder.close();
    throw new Error("DELAY=plugin, but the broker has no delayed exchange", { cause: missing });
  }
  return {
    close: () => finder.close(),
    async schedule(message, at) {
      const leftMs = at.getTime() - now();
      try {
        if (finder.plugin) return await finder.plugin.publish(message, leftMs);
      } catch (err) {
        const { message: reason } = err as Error;
        log.warn(
          { err: reason },
          "the delayed exchange did not take a message; a delay queue does",
        );
      }
      await publishDelayed(broker, longestTierWithin(leftMs), service, message);
    },
  };
}

/** Keeps a connection to the plugin, if the broker has it. */
class PluginFinder {
  plugin: DelayPlugin | undefined;
  readonly #options: Options;
  #stopped = false;
  #retry: NodeJS.Timeout | undefined;
  #finding: Promise<unknown> = Promise.resolve();

  constructor(options: Options) {
    this.#options = options;
  }

  /**
   * Looks for the plugin. Resolves with the reason if there is none. A broker that often reconnects
   * causes many attempts; they run one after the other.
   */
  find(): Promise<Error | undefined> {
    const found = this.#finding.then(() => this.#findOnce());
    this.#finding = found;
    return found;
  }

  async close(): Promise<void> {
    this.#stopped = true;
    clearTimeout(this.#retry);
    await this.#finding;
    await this.#disconnect();
  }

  async #findOnce(): Promise<Error | undefined> {
    const { mode, log } = this.#options;
    clearTimeout(this.#retry);
    await this.#disconnect();
    if (this.#stopped) return undefined;
    const reason = mode === "native" ? undefined : await failure(this.#connect());
    const found = this.plugin ? "plugin" : "native";
    const level = reason && mode === "plugin" ? "error" : "info";
    log[level]({ delay: found, ...(reason && { reason: reason.message }) }, `delay: ${found}`);
    if (reason && !isAnswer(reason)) this.#findLater();
    return reason;
  }

  async #connect(): Promise<void> {
    const { broker, url, service, log } = this.#options;
    const opened = await connectDelayPlugin({
      broker,
      url,
      service,
      onClose: () => {
        if (this.plugin !== opened) return;
        this.plugin = undefined;
        log.warn("the delayed exchange is lost; delay queues take over");
        this.#findLater();
      },
    });
    this.plugin = opened;
  }

  async #disconnect(): Promise<void> {
    const { plugin } = this;
    this.plugin = undefined;
    await plugin?.close();
  }

  #findLater(): void {
    clearTimeout(this.#retry);
    if (this.#stopped) return;
    const pause = RETRY_MS * (1 + Math.random());
    this.#retry = setTimeout(() => void (this.#options.broker.connected && this.find()), pause);
  }
}

const failure = (work: Promise<void>): Promise<Error | undefined> =>
  work.then(
    () => undefined,
    (error: Error) => error,
  );

/** Whether the broker itself rejected it, with a code. After any other failure a retry may succeed. */
const isAnswer = (error: object): boolean => "code" in error && typeof error.code === "number";
