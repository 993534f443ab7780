import { StringValueSchema } from "@bufbuild/protobuf/wkt";
import type { GetMessage } from "amqplib";
import { describe, expect, inject, it, onTestFinished } from "vitest";
import { startDelayedDelivery, type DelayedDelivery, type DelayMode } from "./delay.ts";
import { fakeDelayPlugin } from "../../testing/delay-plugin.ts";
import { eventually } from "../../testing/eventually.ts";
import { recordedLog } from "../../testing/log.ts";
import { testBroker, testVhost, type TestBroker } from "../../testing/broker.ts";
import { testProxy } from "../../testing/proxy.ts";
import { DELAYED_EXCHANGE, DELAYED_QUEUE, delayQueue, DELAY_TIERS } from "../topology/topology.ts";

const subscriptions = { one: [StringValueSchema] };

/** Whether the broker has the plugin, determined by a method that services do not use. */
async function hasPlugin(): Promise<boolean> {
  const { url, user, password } = inject("parts").management;
  const headers = { authorization: `Basic ${btoa(`${user}:${password}`)}` };
  const answer = await fetch(`${url}/api/overview`, { headers });
  const { exchange_types: types } = (await answer.json()) as { exchange_types: { name: string }[] };
  return types.some(({ name }) => name === "x-delayed-message");
}
const pluginHere = await hasPlugin();

interface Started {
  delay: DelayedDelivery;
  broker: TestBroker;
  /** The modes that it logged, one for each detection. */
  modes(): unknown[];
  /** How often the service's own connection was lost. */
  losses(): number;
  warnings(): string[];
}

async function start(url: string, mode: DelayMode = "auto"): Promise<Started> {
  const { log, lines } = recordedLog();
  const broker = await testBroker("one", subscriptions, { url, log });
  const delay = await startDelayedDelivery({ broker, url, service: "one", mode, log });
  onTestFinished(() => delay.close());
  const said = (): string[] => lines.map(({ msg }) => String(msg));
  return {
    delay,
    broker,
    modes: () => lines.flatMap((line) => line["delay"] ?? []),
    losses: () => said().filter((msg) => msg === "broker gone").length,
    warnings: () => lines.flatMap(({ level, msg }) => (Number(level) >= 40 ? String(msg) : [])),
  };
}

const words = (text: string) => ({ content: Buffer.from(text), properties: { messageId: text } });
const soon = (ms: number): Date => new Date(Date.now() + ms);
const heard = ({ broker }: Pick<Started, "broker">): Promise<GetMessage> =>
  eventually(() => broker.raw.get("one", { noAck: true }), "the message");
const waiting = async ({ broker }: Started): Promise<number> => {
  const queues = DELAY_TIERS.map((seconds) => broker.raw.checkQueue(delayQueue(seconds)));
  return (await Promise.all(queues)).reduce((sum, { messageCount }) => sum + messageCount, 0);
};

describe("the delay mode", () => {
  it(`is detected within a second, here: ${pluginHere ? "plugin" : "native"}`, async () => {
    const url = await testVhost();
    const { log, lines } = recordedLog();
    const broker = await testBroker("one", subscriptions, { url, log });
    const began = performance.now();
    const delay = await startDelayedDelivery({ broker, url, service: "one", mode: "auto", log });
    const tookMs = performance.now() - began;
    onTestFinished(() => delay.close());
    console.log(`what waits was found out in ${tookMs.toFixed(0)} ms`);
    expect(tookMs).toBeLessThan(1_000);
    const told = lines.filter(({ delay: found }) => found !== undefined);
    expect(told).toEqual([expect.objectContaining({ delay: pluginHere ? "plugin" : "native" })]);
    expect(lines.filter(({ msg }) => msg === "broker gone")).toEqual([]);
    expect(broker.connected).toBe(true);
  });

  it.skipIf(pluginHere)("is logged with the broker's reason (no plugin here)", async () => {
    const { log, lines } = recordedLog();
    const broker = await testBroker("one", subscriptions, { log });
    const { url } = broker;
    const plugin = startDelayedDelivery({ broker, url, service: "one", mode: "plugin", log });
    await expect(plugin).rejects.toThrow("DELAY=plugin, but the broker has no delayed exchange");
    expect(lines).toContainEqual(
      expect.objectContaining({
        level: 50,
        reason: expect.stringContaining("no exchange 'ticketing.delayed'") as string,
      }),
    );
    expect(broker.connected).toBe(true);
  });

  it("is detected again after each reconnect", async () => {
    const plugin = await fakeDelayPlugin(await testVhost());
    const one = await start(plugin.url);
    expect(one.modes()).toEqual(["plugin"]);
    const seen = ["plugin"];
    for (const installed of [false, true, true, false]) {
      plugin.install(installed);
      await plugin.restart();
      seen.push(installed ? "plugin" : "native"); // The fake hides a real plugin.
      await eventually(() => one.modes().length >= seen.length, "the detected mode");
      expect(one.modes()).toEqual(seen);
    }
    // The plugin was declared once per connect, and the result never closed the service's connection.
    expect(plugin.declared).toBe(seen.length);
    expect(one.losses()).toBe(4);
  });

  it("is detected if the broker closes the connection, as RabbitMQ 3 does", async () => {
    const plugin = await fakeDelayPlugin(await testVhost());
    plugin.install("RabbitMQ 3 without it");
    await expect(start(plugin.url, "plugin")).rejects.toMatchObject({
      cause: expect.objectContaining({ code: 503 }) as Error,
    });
    const one = await start(plugin.url);
    expect(one.modes()).toEqual(["native"]);
    expect(one.losses()).toBe(0);
    await one.delay.schedule(words("hello"), soon(100));
    expect((await heard(one)).content.toString()).toBe("hello");
  });

  it("is not detected if the configuration sets it", async () => {
    const plugin = await fakeDelayPlugin(await testVhost());
    const one = await start(plugin.url, "native");
    expect(one.modes()).toEqual(["native"]);
    expect(plugin.declared).toBe(0);
    await one.delay.schedule(words("hello"), soon(100));
    expect(plugin.delays).toEqual([]);
    expect((await heard(one)).content.toString()).toBe("hello");
  });
});

describe("a message delayed by the plugin", () => {
  it("is delivered to the service's queue unchanged, and not before its time", async () => {
    const plugin = await fakeDelayPlugin(await testVhost());
    const one = await start(plugin.url, "plugin");
    const at = soon(700);
    const properties = { messageId: "m", type: "t", headers: { "x-tries": 2 } };
    await one.delay.schedule({ content: Buffer.from("hello"), properties }, at);
    expect(await waiting(one)).toBe(0);
    const message = await heard(one);
    expect(Date.now()).toBeGreaterThanOrEqual(at.getTime());
    expect(message.content.toString()).toBe("hello");
    expect(message.properties).toMatchObject({ messageId: "m", type: "t", deliveryMode: 2 });
    expect(message.properties.headers).toEqual({ "x-tries": 2 });
    expect((await one.broker.raw.checkQueue(DELAYED_QUEUE)).messageCount).toBe(0);
  });

  it.each([
    ["at least a millisecond", -5_000, 1],
    ["at most the plugin's maximum delay", 60 * 86_400_000, 2 ** 32 - 1],
  ])("waits %s", async (_, ms, delay) => {
    const plugin = await fakeDelayPlugin(await testVhost());
    const one = await start(plugin.url, "plugin");
    await one.delay.schedule(words("hello"), soon(ms));
    await eventually(() => plugin.delays.length > 0, "the message");
    expect(plugin.delays).toEqual([delay]);
  });

  it("uses the delay queues while the plugin is lost, and the plugin when it is back", async () => {
    const plugin = await fakeDelayPlugin(await testVhost());
    const one = await start(plugin.url, "plugin");
    plugin.install(false);
    plugin.cutUsers();
    await eventually(() => one.warnings().length > 0, "the loss to be detected");
    await one.delay.schedule(words("meanwhile"), soon(300));
    expect((await heard(one)).content.toString()).toBe("meanwhile");
    expect(plugin.delays).toEqual([]);
    plugin.install(true);
    const asked = one.modes().length;
    await plugin.restart();
    await eventually(
      () => one.modes().slice(asked).includes("plugin"),
      "the plugin to be used again",
    );
    await one.delay.schedule(words("after"), soon(300));
    // The test's own channel was closed too.
    const bare = { broker: await testBroker("one", subscriptions, { url: plugin.url }) };
    expect((await heard(bare)).content.toString()).toBe("after");
    expect(plugin.delays).toHaveLength(1);
  });

  it("uses the delay queues if the plugin's exchange rejects it", async () => {
    const plugin = await fakeDelayPlugin(await testVhost());
    const one = await start(plugin.url);
    await one.broker.raw.deleteExchange(DELAYED_EXCHANGE);
    await one.delay.schedule(words("hello"), soon(300));
    expect((await heard(one)).content.toString()).toBe("hello");
    expect(one.losses()).toBe(0);
    // Only an administrator can declare the exchange again. Until then the delay queues are used.
    await eventually(() => one.modes().length === 2, "the loss to be detected");
    expect(one.modes()).toEqual(["plugin", "native"]);
  });

  it("is not lost if it is due while no consumer runs", async () => {
    const plugin = await fakeDelayPlugin(await testVhost());
    const one = await start(plugin.url);
    await one.delay.schedule(words("hello"), soon(300));
    await one.delay.close();
    const { raw } = one.broker;
    const due = async () => (await raw.checkQueue(DELAYED_QUEUE)).messageCount === 1;
    await eventually(due, "the message in the queue behind the plugin");
    expect(await raw.get("one", { noAck: true })).toBe(false);
    const next = await start(plugin.url);
    expect((await heard(next)).content.toString()).toBe("hello");
  });
});

describe("an unavailable broker", () => {
  it("rejects a message immediately, and accepts it after the reconnect", async () => {
    const url = new URL(await testVhost());
    const line = await testProxy(Number(url.port));
    url.port = String(line.port);
    const one = await start(url.href);
    line.cut();
    await eventually(() => !one.broker.connected, "the loss of the connection");
    await expect(one.delay.schedule(words("lost"), soon(300))).rejects.toThrow("no broker");
    line.mend();
    await eventually(() => one.modes().length === 2, "the detected mode");
    await one.delay.schedule(words("kept"), soon(300));
    const bare = { broker: await testBroker("one", subscriptions, { url: url.href }) };
    expect((await heard(bare)).content.toString()).toBe("kept");
  });
});
