import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { ExpirationCompleteSchema } from "@ticketing/proto/expiration/v1/expiration_events";
import { OrderCreatedSchema } from "@ticketing/proto/orders/v1/order_events";
import { describe, expect, it, onTestFinished } from "vitest";
import { subscriptions } from "#catalogue";
import { toProperties } from "#runtime/envelope.ts";
import { consume } from "#runtime/events.ts";
import { newId } from "#runtime/ids.ts";
import { eventually, recordedLog, silent, testBroker, type TestBroker } from "#runtime/testing.ts";
import { EVENTS, waitExchange, type Wait } from "#runtime/topology.ts";
import { run, type Child } from "#stack/process.ts";
import { expirationEvents } from "./events.ts";

const TYPE = ExpirationCompleteSchema.typeName;

/** A nudge that came to orders. */
interface Nudge {
  orderId: string;
  expiresAt: number;
  cameAt: number;
}

/** A broker of its own, in which orders' queue fills the list that it answers. */
async function heard(): Promise<{ broker: TestBroker; nudges: Nudge[] }> {
  const broker = await testBroker("orders", subscriptions);
  const nudges: Nudge[] = [];
  await broker.raw.consume("orders", (message) => {
    if (!message) return;
    const { orderId, expiresAt } = fromBinary(ExpirationCompleteSchema, message.content);
    const ends = expiresAt ? timestampDate(expiresAt).getTime() : Number.NaN;
    nudges.push({ orderId, expiresAt: ends, cameAt: Date.now() });
    broker.raw.ack(message);
  });
  return { broker, nudges };
}

/** Tells of an order whose hold ends so soon, as orders does. */
async function order(broker: TestBroker, ms: number): Promise<string> {
  const id = newId();
  const expiresAt = timestampFromDate(new Date(Date.now() + ms));
  const { typeName: type } = OrderCreatedSchema;
  const body = toBinary(
    OrderCreatedSchema,
    create(OrderCreatedSchema, { order: { id, expiresAt } }),
  );
  const event = { id: newId(), type, source: "orders", subject: id, time: new Date() };
  await broker.publish(EVENTS, type, Buffer.from(body), {
    ...toProperties(event),
    mandatory: true,
  });
  return id;
}

/** The service within this process. */
async function start(broker: TestBroker, log = silent): Promise<void> {
  const handlers = expirationEvents({ broker, log, now: Date.now });
  const faults = { isFault: () => false, recovered: () => Promise.resolve() };
  const stop = await consume({ service: "expiration", broker, handlers, log, ...faults });
  onTestFinished(stop);
}

/** The service as a process of its own, ready. */
async function startProcess({ url }: TestBroker): Promise<Child> {
  const env = {
    AMQP_URI: url,
    HOST: "127.0.0.1",
    RPC_PORT: "0",
    HTTP_PORT: "0",
    LOG_LEVEL: "info",
  };
  const child = run("expiration", process.execPath, [join(import.meta.dirname, "main.ts")], {
    env,
  });
  onTestFinished(() => child.stop());
  await eventually(() => {
    if (!child.running) throw new Error(`it ended: ${child.tail()}`);
    return child.tail().includes('"ready"');
  }, "the service to be ready");
  return child;
}

const waiting = async ({ raw }: TestBroker, wait: Wait): Promise<number> =>
  (await raw.checkQueue(waitExchange(wait))).messageCount;

/** None early, and none later than the shortest wait and what a busy machine takes. */
function expectInTime(nudges: readonly Nudge[]): void {
  for (const { cameAt, expiresAt } of nudges) {
    expect(cameAt).toBeGreaterThanOrEqual(expiresAt);
    expect(cameAt - expiresAt).toBeLessThan(4_000);
  }
}

describe("when a hold has run out", () => {
  it("orders is told, after its time and not before", async () => {
    const { broker, nudges } = await heard();
    const { log, lines } = recordedLog();
    await start(broker, log);
    const ids = await Promise.all([300, 1_500, 2_200].map((ms) => order(broker, ms)));
    await eventually(() => nudges.length === 3, "all nudges");
    expect(nudges.map(({ orderId }) => orderId).toSorted()).toEqual(ids.toSorted());
    expectInTime(nudges);
    expect(lines.map(({ msg }) => msg)).toContain(`published ${TYPE} ${ids[0]}`);
  });

  it("orders is told at once where the time was over before we heard of it", async () => {
    const { broker, nudges } = await heard();
    await start(broker);
    const id = await order(broker, -60_000);
    await eventually(() => nudges.length === 1, "the nudge");
    expect(nudges[0]?.orderId).toBe(id);
    expect(await waiting(broker, 1)).toBe(0);
  });

  it.each([
    [899_000, 600],
    [61_000, 60],
    [59_000, 10],
    [86_400_000, 900],
  ] as const)("in %d ms, the broker waits %d s of it first", async (ms, wait) => {
    const { broker } = await heard();
    await start(broker);
    await order(broker, ms);
    await eventually(async () => (await waiting(broker, wait)) === 1, "a message that waits");
  });

  it("two instances tell orders of each hold once", async () => {
    const { broker, nudges } = await heard();
    await start(broker);
    await start(await testBroker("expiration", subscriptions, { url: broker.url }));
    const ids = await Promise.all(Array.from({ length: 40 }, () => order(broker, 1_200)));
    await eventually(() => nudges.length >= 40, "all nudges");
    expect(nudges.map(({ orderId }) => orderId).toSorted()).toEqual(ids.toSorted());
    expectInTime(nudges);
  });
});

describe("a restart", () => {
  it("loses no timer, though the service is killed while it waits", async () => {
    const { broker, nudges } = await heard();
    const first = await startProcess(broker);
    const ids = await Promise.all(Array.from({ length: 20 }, () => order(broker, 3_500)));
    await eventually(async () => (await waiting(broker, 1)) > 0, "the broker to wait");
    first.kill("SIGKILL");
    await first.exited;
    expect(nudges).toEqual([]);
    await startProcess(broker);
    await eventually(() => new Set(nudges.map(({ orderId }) => orderId)).size === 20, "all nudges");
    expect(ids).toEqual(expect.arrayContaining(nudges.map(({ orderId }) => orderId)));
    for (const { cameAt, expiresAt } of nudges) expect(cameAt).toBeGreaterThanOrEqual(expiresAt);
  });

  it("ends in order when the service is told to stop", async () => {
    const { broker } = await heard();
    const child = await startProcess(broker);
    process.kill(child.pid, "SIGTERM");
    expect(await child.exited).toBe("code 0");
    expect(child.tail()).toContain('"stopped"');
  });
});
