import { Code, createClient } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { Access } from "@ticketing/proto/options/v1/options";
import { describe, expect, it } from "vitest";
import { refusal, testServer, wordService, type WordClient } from "./testing.ts";

// What the conformance suite does not look at.

const { service, routes } = wordService({
  Echo: { access: Access.ANYONE, answer: (word) => word },
});
const { url: baseUrl } = await testServer(routes);
const http2 = { baseUrl, httpVersion: "2" } as const;

describe("a server", () => {
  it.each([
    ["Connect", createConnectTransport({ ...http2, useBinaryFormat: true })],
    ["gRPC", createGrpcTransport({ baseUrl })],
    ["gRPC-Web", createGrpcWebTransport(http2)],
  ])("reads a message of exactly 64 KiB over %s, and none a byte larger", async (_, transport) => {
    const client = createClient(service, transport) as unknown as WordClient;
    const value = "x".repeat(64 * 1024 - 4); // One byte names the field, three tell its length.
    expect((await client["echo"]?.({ value }))?.value).toBe(value);
    const refused = await refusal(client["echo"]?.({ value: `${value}x` }) as Promise<unknown>);
    expect(refused.code).toBe(Code.ResourceExhausted);
  });
});
