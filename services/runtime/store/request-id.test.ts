import { create } from "@bufbuild/protobuf";
import { CreateOrderRequestSchema } from "@ticketing/proto/orders/v1/order_service";
import { describe, expect, it } from "vitest";
import { createTimeOf, newId } from "./ids.ts";
import { mustBeSameRequest, idempotencyKey } from "./request-id.ts";

const mark = (request: object) =>
  idempotencyKey(CreateOrderRequestSchema, create(CreateOrderRequestSchema, request));

describe("the stored part of a request", () => {
  it("is empty if the client sent no request ID", () => {
    expect(mark({ ticketId: "a" })).toEqual({});
  });

  it("is the same for the same request, whatever the case of its ID", () => {
    expect(mark({ ticketId: "a", requestId: "AB" })).toEqual(
      mark({ ticketId: "a", requestId: "ab" }),
    );
  });

  it("differs for another request, however small the difference is", () => {
    const made = mark({ ticketId: "a", requestId: "r" });
    for (const other of [
      { ticketId: "b" },
      { ticketId: "a", ticketVersion: 1n },
      { ticketId: "" },
    ]) {
      expect(() => mustBeSameRequest(made, mark({ ...other, requestId: "r" }))).toThrow(
        "already stands for another request",
      );
    }
    expect(() => mustBeSameRequest(made, mark({ ticketId: "a", requestId: "r" }))).not.toThrow();
  });
});

describe("an ID", () => {
  it("is greater than earlier IDs, and contains its time of creation", () => {
    const before = Date.now();
    const ids = Array.from({ length: 1000 }, newId);
    expect(ids.toSorted()).toEqual(ids);
    for (const id of ids) {
      expect(createTimeOf(id)).toBeGreaterThanOrEqual(before);
      expect(createTimeOf(id)).toBeLessThanOrEqual(Date.now());
    }
  });

  it.each([
    "",
    "hello",
    "0b8f7c2e-55d4-4c5e-9d3b-0f6c6d1d3c11",
    "00000000-0000-0000-0000-000000000000",
  ])("of another format has no time of creation: %o", (id) => {
    expect(createTimeOf(id)).toBe(0);
  });
});
