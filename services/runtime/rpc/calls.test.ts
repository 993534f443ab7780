import { setTimeout as passing } from "node:timers/promises";
import { Code, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { Health } from "@ticketing/proto/grpc/health/v1/health";
import { Access } from "@ticketing/proto/options/v1/options";
import { Schema } from "mongoose";
import { describe, expect, it } from "vitest";
import type { Admission } from "./calls.ts";
import { eventually } from "../testing/eventually.ts";
import { refusal } from "../testing/refusal.ts";
import { testDatabase } from "../testing/database.ts";
import { testServer } from "../testing/server.ts";
import { wordService, type WordClient } from "../testing/word-service.ts";

/** A server whose calls last until they are released. */
async function holding(admission: Admission, callTimeoutMs?: number) {
  const held: PromiseWithResolvers<void>[] = [];
  const { service, routes } = wordService({
    hold: {
      access: Access.ANYONE,
      async answer(word) {
        const release = Promise.withResolvers<void>();
        held.push(release);
        await release.promise;
        return word;
      },
    },
  });
  const server = await testServer(routes, {
    admission,
    ...(callTimeoutMs === undefined ? {} : { callTimeoutMs }),
  });
  const client = server.grpc(service) as unknown as WordClient;
  const call = (): Promise<{ value: string }> =>
    client["hold"]?.({ value: "done" }) as Promise<{ value: string }>;
  const checkHealth = () =>
    createClient(Health, createGrpcTransport({ baseUrl: server.url })).check({});
  return { held, call, checkHealth };
}

const overloaded = { code: Code.ResourceExhausted, reason: "OVERLOADED", retryAfterMs: 1_000 };

describe("concurrent calls", () => {
  it("wait above the concurrency limit, and are refused immediately above the capacity", async () => {
    const { held, call, checkHealth } = await holding({ concurrency: 2, capacity: 5 });
    const taken = Array.from({ length: 5 }, call);
    await eventually(() => held.length === 2, "two calls to run");
    // When the sixth call is refused, the first five have arrived; until then it may be one of the five.
    const refused = await refusal(call());
    expect(refused).toMatchObject(overloaded);
    expect(held).toHaveLength(2);
    await checkHealth(); // Health checks do not count as calls.
    for (let i = 0; i < 5; i += 1) {
      await eventually(() => held.length > i, "the next call to run");
      held[i]?.resolve();
    }
    expect((await Promise.all(taken)).map(({ value }) => value)).toEqual(Array(5).fill("done"));
    const later = call();
    await eventually(() => held.length === 6, "another call to be accepted");
    held[5]?.resolve();
    await later;
  });

  it("are refused immediately while others have been late for a while, and accepted afterwards", async () => {
    const { held, call } = await holding({ concurrency: 1, capacity: 1_000 }, 60_000);
    const accepted = [call(), call()];
    await eventually(() => held.length === 1, "one call to run");
    await eventually(async () => {
      const next = call();
      const refused = await Promise.race([refusal(next), passing(10)]);
      if (refused === undefined) accepted.push(next);
      return refused?.reason === "OVERLOADED";
    }, "a call to be refused");
    for (let i = 0; i < accepted.length; i += 1) {
      await eventually(() => held.length > i, "the next call to run");
      held[i]?.resolve();
    }
    expect(new Set((await Promise.all(accepted)).map(({ value }) => value))).toEqual(
      new Set(["done"]),
    );
    const later = call();
    await eventually(() => held.length > accepted.length, "another call to be accepted");
    held.at(-1)?.resolve();
    await later;
  });

  it("count until their work has ended, even if they were answered earlier", async () => {
    const { held, call } = await holding({ concurrency: 1, capacity: 1 }, 50);
    expect(await refusal(call())).toMatchObject({ reason: "TOO_SLOW" });
    expect(await refusal(call())).toMatchObject(overloaded);
    expect(held).toHaveLength(1);
    held[0]?.resolve();
    const again = async () => (await refusal(call())).reason === "TOO_SLOW";
    await eventually(again, "the next call to be accepted");
    for (const { resolve } of held) resolve();
  });

  it("do not start if they were answered while they waited", async () => {
    const { held, call } = await holding({ concurrency: 1, capacity: 10 }, 200);
    const refused = await Promise.all([call(), call(), call()].map(refusal));
    expect(refused.map(({ reason }) => reason)).toEqual(Array(3).fill("TOO_SLOW"));
    held[0]?.resolve();
    await passing(0);
    expect(held).toHaveLength(1);
  });

  it("leave connections to the database for event handlers", async () => {
    const db = await testDatabase();
    const things = db.model("Thing", new Schema({ _id: String }), "things");
    await things.create({ _id: "a" });
    let begun = 0;
    const { service, routes } = wordService({
      look: {
        access: Access.ANYONE,
        async answer() {
          begun += 1;
          return String(await things.findOne({ $where: "sleep(500) || true" }));
        },
      },
    });
    const server = await testServer(routes, { admission: { concurrency: 20, capacity: 100 } });
    const client = server.grpc(service) as unknown as WordClient;
    const slow = Array.from({ length: 100 }, () => client["look"]?.({}).catch(() => undefined));
    await eventually(() => begun === 20, "the maximum number of calls to wait for the database");
    expect(await things.findOne({ _id: "a" })).not.toBeNull();
    expect(begun).toBeLessThan(100);
    await Promise.all(slow);
  });
});
