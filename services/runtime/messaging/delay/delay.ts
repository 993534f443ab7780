import type { Broker } from "../broker.ts";
import { connectDelayPlugin, type DelayPlugin } from "./plugin.ts";
import type { Log } from "../../log.ts";
import { publishDelayed, longestTierWithin, type DelayedMessage } from "./delayed-message.ts";

/** Leaves messages with the broker for a while. How it waits there is nobody's business. */
export interface DelayedDelivery {
  /**
   * Resolves when the broker has the message safe. It comes out into the service's queue when the
   * time has come, or before: then it is to be left again.
   */
  schedule(message: DelayedMessage, at: Date): Promise<void>;
  close(): Promise<void>;
}

/** Whether the plugin waits, or queues that every broker has; `auto` takes the plugin if there is one. */
export const DELAY_MODES = ["auto", "plugin", "native"] as const;
export type DelayMode = (typeof DELAY_MODES)[number];

interface Options {
  broker: Broker;
  /** The broker's address, for connections of its own. */
  url: string;
  /** What is left comes out into its queue. */
  service: string;
  mode: DelayMode;
  log: Log;
  now?: () => number;
}

/** After so long it is asked again where there was no answer, or where the plugin was lost. */
const AGAIN_MS = 1_000;

/**
 * Begins to leave messages waiting: in the delayed exchange of the broker's plugin or, where it has
 * none, in the ladder of waiting queues, which needs nothing but the broker. Which of the two is found
 * out after every connect, as the broker may be another by then. The ladder always stands, and takes
 * whatever the plugin does not.
 */
export async function startDelayedDelivery(options: Options): Promise<DelayedDelivery> {
  const { broker, url, service, mode, log, now = Date.now } = options;
  let line: DelayPlugin | undefined;
  let stopped = false;
  let again: NodeJS.Timeout | undefined;
  let finding: Promise<unknown> = Promise.resolve();

  async function closeLine(): Promise<void> {
    const old = line;
    line = undefined;
    await old?.close();
  }

  async function openLine(): Promise<void> {
    const opened = await connectDelayPlugin({
      ...{ broker, url, service },
      onClose() {
        if (line !== opened) return;
        line = undefined;
        log.warn("the delayed exchange is lost; waiting queues take over");
        findLater();
      },
    });
    line = opened;
  }

  /** Answers why there is no plugin, where one was looked for. */
  async function find(): Promise<Error | undefined> {
    clearTimeout(again);
    await closeLine();
    if (stopped) return undefined;
    const reason = mode === "native" ? undefined : await failure(openLine());
    const found = line ? "plugin" : "native";
    const level = reason && mode === "plugin" ? "error" : "info";
    log[level]({ delay: found, ...(reason && { reason: reason.message }) }, `delay: ${found}`);
    if (reason && !isAnswer(reason)) findLater();
    return reason;
  }

  /** One at a time: a broker that comes and goes asks for it often. */
  function findNow(): Promise<Error | undefined> {
    const found = finding.then(find);
    finding = found;
    return found;
  }

  function findLater(): void {
    clearTimeout(again);
    if (stopped) return;
    const pause = AGAIN_MS * (1 + Math.random());
    again = setTimeout(() => void (broker.connected && findNow()), pause);
  }

  async function close(): Promise<void> {
    stopped = true;
    clearTimeout(again);
    await finding;
    await closeLine();
  }

  broker.onConnect(() => void findNow());
  const missing = await findNow();
  if (missing && mode === "plugin") {
    await close();
    throw new Error("DELAY=plugin, but the broker has no delayed exchange", { cause: missing });
  }

  return {
    close,
    async schedule(message, at) {
      const leftMs = at.getTime() - now();
      try {
        if (line) return await line.publish(message, leftMs);
      } catch (err) {
        log.warn(
          { err: (err as Error).message },
          "not left in the delayed exchange, but in a queue",
        );
      }
      await publishDelayed(broker, longestTierWithin(leftMs), service, message);
    },
  };
}

const failure = (work: Promise<void>): Promise<Error | undefined> =>
  work.then(
    () => undefined,
    (error: Error) => error,
  );

/** Whether the broker itself said no, with a code; anything else may be otherwise in a moment. */
const isAnswer = (error: object): boolean => "code" in error && typeof error.code === "number";
