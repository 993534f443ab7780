import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { RefreshSessionResponseSchema } from "@ticketing/proto/auth/v1/auth_service";
import { OrderStatus } from "@ticketing/proto/orders/v1/order";
import { OrderCreatedSchema } from "@ticketing/proto/orders/v1/order_events";
import { describe, expect, it } from "vitest";
import { describe as describePayload, readPayload } from "./payload.ts";
import { events, shortType } from "./registry.ts";
import { sanitize, toSafeJson } from "./terminal-text.ts";

const event = create(OrderCreatedSchema, {
  order: {
    id: "o1",
    ticketId: "t1",
    status: OrderStatus.CREATED,
    title: "Front row",
    price: { currencyCode: "EUR", units: 25n, nanos: 500_000_000 },
    expiresAt: timestampFromDate(new Date("2026-11-22T20:00:00Z")),
    version: 1n,
    updateTime: timestampFromDate(new Date("2026-11-22T19:45:00Z")),
  },
});

describe("the summary of an event", () => {
  it("shows every field that is set, under its name in the contract", () => {
    const { summary } = readPayload(
      OrderCreatedSchema.typeName,
      toBinary(OrderCreatedSchema, event),
      "o1",
    );
    expect(summary).toBe(
      'ticketId=t1 status=CREATED title="Front row" price=25.50 EUR ' +
        "expiresAt=2026-11-22T20:00:00.000Z version=1",
    );
  });

  it("never shows what the contract marks debug_redact", () => {
    const tokens = { accessToken: "hush", refreshToken: "hush" };
    const secret = create(RefreshSessionResponseSchema, { user: { id: "u1" }, tokens });
    const payload = describePayload(RefreshSessionResponseSchema, secret);
    expect(payload.summary).toBe("user.id=u1");
    expect(JSON.stringify([payload.summary, payload.json, [...payload.values]])).not.toContain(
      "hush",
    );
  });

  it("shortens an ID to its end", () => {
    const ticketId = "01a20566-86cc-7690-b88a-1151dee8c342";
    const payload = describePayload(
      OrderCreatedSchema,
      create(OrderCreatedSchema, { order: { ticketId } }),
    );
    expect(payload.summary).toBe("ticketId=…dee8c342");
    expect(payload.values).toContain(ticketId);
  });

  it("says why a body cannot be shown", () => {
    const noise = Buffer.from([0x0a, 0xff, 0x01]);
    expect(readPayload("nobody.Knows", noise).summary).toBe("(3 bytes, unknown type)");
    expect(readPayload(OrderCreatedSchema.typeName, noise).summary).toBe(
      "(3 bytes, cannot be decoded)",
    );
  });

  it("contains no control characters for a terminal", () => {
    const bad = "\u001B[2J\nnext\u202Eline\u009B1m";
    const title = describePayload(
      OrderCreatedSchema,
      create(OrderCreatedSchema, { order: { title: bad } }),
    );
    const price = { currencyCode: bad, units: 1n };
    const odd = describePayload(
      OrderCreatedSchema,
      create(OrderCreatedSchema, { order: { price } }),
    );
    for (const text of [
      title.summary,
      odd.summary,
      sanitize(bad),
      shortType(bad),
      toSafeJson({ bad }),
    ])
      expect(text).not.toMatch(/[\p{Cc}\p{Cf}]/u);
    const far = `${bad}\u{E0001}`;
    expect(JSON.parse(toSafeJson({ far }))).toEqual({ far });
    expect(sanitize("x".repeat(5_000)).length).toBeLessThan(100);
  });
});

it("the registry contains every event of the contracts", () => {
  const proto = join(import.meta.dirname, "../../proto");
  const types = globSync("ticketing/**/*_events.proto", { cwd: proto }).flatMap((file) => {
    const text = readFileSync(join(proto, file), "utf8");
    const name = /^package (.+);$/m.exec(text)?.[1];
    return [...text.matchAll(/^message (\w+)/gm)].map(([, message]) => `${name}.${message}`);
  });
  expect(types.length).toBeGreaterThan(10);
  expect(types.filter((type) => !events.getMessage(type))).toEqual([]);
});
