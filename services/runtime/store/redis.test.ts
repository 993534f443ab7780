import { expect, inject, it, onTestFinished } from "vitest";
import { connectRedis } from "./redis.ts";
import { newId } from "./ids.ts";
import { eventually } from "../testing/eventually.ts";
import { recordedLog, silentLog } from "../testing/log.ts";
import { testProxy } from "../testing/proxy.ts";

const answers = (client: Awaited<ReturnType<typeof connectRedis>>): Promise<boolean> =>
  Promise.race([
    client.ping().then(
      () => true,
      () => false,
    ),
    new Promise<boolean>((resolve) => setTimeout(resolve, 200, false)),
  ]);

/** Resolves after at least this time. */
const passed = (ms: number): Promise<boolean> => {
  const end = performance.now() + ms;
  return eventually(() => performance.now() > end, `${ms} ms to pass`, ms + 60_000);
};

/** A client, its proxy, and the number of its connections. */
async function byLine(harm?: "hang", change?: (url: URL) => void) {
  const url = new URL(inject("parts").redisUrl);
  const line = await testProxy(Number(url.port));
  url.port = String(line.port);
  change?.(url);
  if (harm) line[harm]();
  const { log, lines } = recordedLog();
  const client = await connectRedis(url.href, log);
  onTestFinished(() => client.destroy());
  let connects = 0;
  client.on("connect", () => (connects += 1));
  return { client, line, lines, connects: () => connects };
}

it.each([
  ["that is closed", (line: { cut(): void }) => line.cut()],
  ["that drops all data", (line: { forget(): void }) => line.forget()],
] as const)("Redis is available again soon after a connection %s", async (_, harm) => {
  const { client, line } = await byLine();
  expect(await answers(client)).toBe(true);
  harm(line);
  expect(await answers(client)).toBe(false);
  line.mend();
  await eventually(() => answers(client), "Redis to respond");
});

it("no connection to Redis is attempted after its client was closed", async () => {
  const client = await connectRedis(inject("parts").redisUrl, silentLog);
  expect(await answers(client)).toBe(true);
  client.destroy();
  await eventually(() => !client.isOpen, "the client to be closed");
  let opened = 0;
  client.on("ready", () => (opened += 1));
  await passed(5_000); // Longer than the timeout for a missing response.
  expect(opened).toBe(0);
});

it("an unavailable Redis is tried by one attempt at a time, however long it takes, and connected once", async () => {
  const { client, line, connects } = await byLine();
  expect(await answers(client)).toBe(true);
  line.cut();
  await passed(17_000);
  // After 0.2, 0.4, 0.8 and 1.6 seconds, and then every three seconds.
  expect(connects()).toBeLessThanOrEqual(10);
  line.mend();
  await eventually(() => answers(client), "Redis to respond");
  const before = connects();
  await passed(5_000);
  expect(connects()).toBe(before);
});

it("a Redis that responds with errors does not count as silent", async () => {
  const admin = await connectRedis(inject("parts").redisUrl, silentLog);
  onTestFinished(() => admin.destroy());
  const user = newId();
  const rights = ["on", "nopass", "-@all", "+hello", "+auth"];
  await admin.sendCommand(["ACL", "SETUSER", user, ...rights]);
  onTestFinished(async () => void (await admin.sendCommand(["ACL", "DELUSER", user])));
  const { client, lines, connects } = await byLine(undefined, (url) =>
    Object.assign(url, { username: user, password: "any" }),
  );
  await expect(client.ping()).rejects.toThrow("NOPERM");
  const before = connects();
  await passed(7_000);
  expect(connects()).toBe(before);
  expect(lines.filter(({ msg }) => String(msg).includes("says nothing"))).toEqual([]);
});

it("a Redis that accepts connections but never responds is reconnected by one attempt at a time", async () => {
  const { client, line, connects } = await byLine("hang");
  await eventually(() => connects() >= 2, "another attempt", 60_000);
  await passed(10_000);
  expect(connects()).toBeLessThanOrEqual(6);
  line.mend();
  await eventually(() => answers(client), "Redis to respond");
});
