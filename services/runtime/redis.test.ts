import { expect, inject, it, onTestFinished } from "vitest";
import { connectRedis } from "./redis.ts";
import { eventually, silent, testLine } from "./testing.ts";

const answers = (client: Awaited<ReturnType<typeof connectRedis>>): Promise<boolean> =>
  Promise.race([
    client.ping().then(
      () => true,
      () => false,
    ),
    new Promise<boolean>((resolve) => setTimeout(resolve, 200, false)),
  ]);

it.each([
  ["that breaks", (line: { cut(): void }) => line.cut()],
  ["on which nothing arrives any more", (line: { forget(): void }) => line.forget()],
] as const)("Redis is there again soon after a line %s", async (_, harm) => {
  const url = new URL(inject("parts").redisUrl);
  const line = await testLine(Number(url.port));
  url.port = String(line.port);
  const client = await connectRedis(url.href, silent);
  onTestFinished(() => client.destroy());
  expect(await answers(client)).toBe(true);
  harm(line);
  expect(await answers(client)).toBe(false);
  line.mend();
  await eventually(() => answers(client), "Redis to answer");
});

it("Redis is left alone once its client is told to end", async () => {
  const client = await connectRedis(inject("parts").redisUrl, silent);
  expect(await answers(client)).toBe(true);
  client.destroy();
  await eventually(() => !client.isOpen, "its end");
  let opened = 0;
  client.on("ready", () => (opened += 1));
  const later = performance.now() + 5_000;
  await eventually(() => performance.now() > later, "longer than a silence lasts");
  expect(opened).toBe(0);
});
