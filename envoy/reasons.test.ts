import {
  create,
  type DescMessage,
  type DescMethodUnary,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import { Code, ConnectError, type Transport } from "@connectrpc/connect";
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport,
} from "@connectrpc/connect-node";
import { AuthService } from "@ticketing/proto/auth/v1/auth_service";
import { ErrorInfoSchema, RetryInfoSchema } from "@ticketing/proto/google/rpc/error_details";
import { OrderService } from "@ticketing/proto/orders/v1/order_service";
import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import { createLocalJWKSet } from "jose";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { CallError, DomainError } from "#runtime/errors.ts";
import { testServer } from "#runtime/testing/server.ts";
import { until } from "#stack/process";
import { type EdgeFixture, startEdgeFixture } from "./testing/edge-fixture.ts";
import { request } from "./testing/http-request.ts";

// The same problem has the same reason, in every protocol, whether the edge or a service detects it.

let fixture: EdgeFixture;

/** The tickets service with all of its interceptors; its handlers find no ticket. */
const tickets = await testServer(
  (router) =>
    router.service(TicketService, {
      getTicket: () => {
        throw new DomainError("TICKET_NOT_FOUND", Code.NotFound, "there is no such ticket");
      },
      deleteTicket: () => {
        throw new CallError("NOT_READY", "not heard of yet", { retryAfterMs: 1_200 });
      },
    }),
  {
    rules: {
      keys: (...asked) => createLocalJWKSet({ keys: [fixture.publicJwk] })(...asked),
      issuer: "ticketing",
      audience: "ticketing",
      secureCookies: false,
      isBanned: (id) => id === "banned",
    },
  },
);

beforeAll(async () => {
  const variables = {
    EDGE_ATTEMPTS_PER_MINUTE: "1",
    TICKETS_RPC_ADDRESSES: `127.0.0.1:${tickets.port}`,
  };
  fixture = await startEdgeFixture({ variables });
  await fixture.crash(fixture.upstreams.orders.rpc[0] ?? "");
  const there = async () => (await request(fixture, "GET", `/api/tickets/${ID}`)).status === 404;
  await until(there, { what: "tickets to be served", timeoutMs: 60_000 });
}, 120_000);
afterAll(() => fixture[Symbol.asyncDispose]());

const ID = "019f0000-0000-7000-8000-000000000001";

interface Problem {
  readonly reason: string;
  readonly code: Code;
  /** The code in REST, if it differs. */
  readonly restCode?: Code;
  readonly method: DescMethodUnary;
  readonly input?: object;
  readonly rest: readonly [verb: string, path: string, body?: unknown];
  readonly headers?: () => Promise<Record<string, string>> | Record<string, string>;
  readonly retryAfter?: number;
}

const bearer = async (claims: object) => ({
  authorization: `Bearer ${await fixture.token(claims)}`,
});
const relist = {
  method: TicketService.method.relistTicket,
  input: { id: ID },
  rest: ["POST", `/api/tickets/${ID}/relist`, {}],
} as const;
const unauthenticated = { reason: "UNAUTHENTICATED", code: Code.Unauthenticated } as const;
const none = { ...TicketService, typeName: "ticketing.tickets.v1.NoService" };

const problems: Record<string, Problem> = {
  "no token": { ...relist, ...unauthenticated },
  "an expired token": { ...relist, ...unauthenticated, headers: () => bearer({ exp: 1 }) },
  "a token for another audience": {
    ...relist,
    ...unauthenticated,
    headers: () => bearer({ aud: "x" }),
  },
  "a token that the edge accepts and the service rejects": {
    ...{ ...relist, ...unauthenticated },
    headers: () => bearer({ sub: undefined }),
  },
  "a bad cookie": {
    ...{ ...relist, ...unauthenticated },
    headers: () => ({ cookie: "ticketing_access=x", origin: fixture.edge.url }),
  },
  "a banned user": {
    ...{ ...relist, reason: "BANNED", code: Code.PermissionDenied },
    headers: () => bearer({ sub: "banned" }),
  },
  "another site's page": {
    ...{ ...relist, reason: "NOT_ACCEPTED", code: Code.PermissionDenied },
    headers: () => ({ cookie: "a=b", origin: "http://evil.test" }),
  },
  "a message that is too large": {
    ...{ ...relist, reason: "TOO_LARGE", code: Code.ResourceExhausted },
    input: { id: ID, code: "x".repeat(70_000) },
    rest: ["POST", `/api/tickets/${ID}/relist`, { code: "x".repeat(70_000) }],
    headers: () => bearer({}),
  },
  "a message that is one byte too large, which only the service detects in some protocols": {
    ...{ ...relist, reason: "TOO_LARGE", code: Code.ResourceExhausted },
    input: { id: ID, code: "x".repeat(65_537 - 38 - 4) },
    rest: ["POST", `/api/tickets/${ID}/relist`, { code: "x".repeat(65_537 - 38 - 4) }],
    headers: () => bearer({}),
  },
  "an unknown path": {
    ...{ reason: "NO_SUCH_PATH", code: Code.Unimplemented, restCode: Code.NotFound },
    method: { ...relist.method, parent: none } as unknown as DescMethodUnary,
    rest: ["POST", "/api/tickets/1/2/3", {}],
  },
  "an unknown ticket": {
    ...{ reason: "TICKET_NOT_FOUND", code: Code.NotFound },
    method: TicketService.method.getTicket,
    input: { id: ID },
    rest: ["GET", `/api/tickets/${ID}`],
  },
  "a resource that is not ready yet": {
    ...{ reason: "NOT_READY", code: Code.Unavailable, retryAfter: 2 },
    method: TicketService.method.deleteTicket,
    input: { id: ID },
    rest: ["DELETE", `/api/tickets/${ID}`],
    headers: () => bearer({}),
  },
  "an unavailable service": {
    ...{ reason: "UNAVAILABLE", code: Code.Unavailable, retryAfter: 1 },
    method: OrderService.method.listOrders,
    rest: ["GET", "/api/orders"],
    headers: () => bearer({}),
  },
  "too many attempts": {
    ...{ reason: "TOO_MANY_ATTEMPTS", code: Code.ResourceExhausted, retryAfter: 1 },
    method: AuthService.method.signIn,
    rest: ["POST", "/api/users/signin", {}],
    headers: () => ({ "x-forwarded-for": "203.0.113.9" }),
  },
};

interface RejectedCall {
  readonly code: Code;
  readonly reason: string | undefined;
  readonly message: string;
  readonly isToRetry: boolean;
  readonly retryAfter?: string | undefined;
}

async function byRpc(problem: Problem, transport: Transport): Promise<RejectedCall> {
  const { method, input = {}, headers = () => ({}) } = problem;
  const message = create(method.input, input as MessageInitShape<DescMessage>);
  const error = await transport.unary(method, undefined, undefined, await headers(), message).then(
    () => expect.fail("it was not refused"),
    (cause: unknown) => ConnectError.from(cause),
  );
  return {
    code: error.code,
    reason: error.findDetails(ErrorInfoSchema)[0]?.reason,
    message: error.rawMessage,
    isToRetry: error.findDetails(RetryInfoSchema).length > 0,
  };
}

async function byRest({ rest, headers = () => ({}) }: Problem): Promise<RejectedCall> {
  const [verb, path, body] = rest;
  const answer = await request(fixture, verb, path, { headers: await headers(), body });
  const { code, message, details } = answer.json;
  const info = details.find((each: any) => each["@type"].endsWith("ErrorInfo"));
  const retryAfter = answer.headers["retry-after"];
  return { code, reason: info?.reason, message, isToRetry: retryAfter !== undefined, retryAfter };
}

const url = () => ({ baseUrl: fixture.edge.url });
const clients: Record<string, (problem: Problem) => Promise<RejectedCall>> = {
  gRPC: (problem) => byRpc(problem, createGrpcTransport(url())),
  "gRPC-Web": (problem) => byRpc(problem, createGrpcWebTransport({ ...url(), httpVersion: "1.1" })),
  "Connect, JSON": (problem) =>
    byRpc(
      problem,
      createConnectTransport({ ...url(), httpVersion: "1.1", useBinaryFormat: false }),
    ),
  "Connect, binary": (problem) =>
    byRpc(problem, createConnectTransport({ ...url(), httpVersion: "2", useBinaryFormat: true })),
  REST: byRest,
};

describe.each(Object.entries(problems))("the error for %s", (what, problem) => {
  if (what === "too many attempts") {
    // This is the one allowed attempt.
    beforeAll(() => clients["REST"]?.(problem).catch(() => undefined));
  }
  it.each(Object.entries(clients))(
    "has the same reason for a client of %s",
    async (name, reject) => {
      const { reason, code, restCode = code, retryAfter } = problem;
      const refused = await reject(problem);
      expect(refused).toMatchObject({ reason, code: name === "REST" ? restCode : code });
      expect(refused.message).toMatch(/\w{3}/);
      expect(refused.isToRetry).toBe(retryAfter !== undefined);
      if (name === "REST" && retryAfter) {
        expect(Number(refused.retryAfter)).toBeGreaterThanOrEqual(retryAfter);
      }
    },
  );
});

describe("a request that cannot be decoded", () => {
  const path = "/ticketing.tickets.v1.TicketService/GetTicket";
  const frame = (text: string) => `\0\0\0\0${String.fromCharCode(text.length)}${text}`;
  it.each([
    ["REST, invalid JSON", `/api/tickets/${ID}/relist`, "application/json", "{"],
    ["REST, an unknown field", `/api/tickets/${ID}/relist`, "application/json", '{"codE":"1"}'],
    ["Connect, invalid JSON", path, "application/json", "{"],
    ["Connect, an unknown field", path, "application/json", '{"ID":"1"}'],
    ["Connect, garbage", path, "application/proto", "\u0007garbage"],
    ["gRPC-Web, garbage", path, "application/grpc-web+proto", frame("\u0007garbage")],
    ["gRPC-Web, an unknown field", path, "application/grpc-web+json", frame('{"ID":"1"}')],
  ])("has one reason in every protocol: %s", async (_what, to, contentType, body) => {
    const headers = { "content-type": contentType, ...(await bearer({})) };
    const { text } = await request(fixture, "POST", to, { headers, body });
    const decoded = text.replace(
      /[\w+/-]{24,}/g,
      (word) => word + atob(word.replaceAll(/[-_]/g, "")),
    );
    expect(decoded).toContain("MALFORMED_REQUEST");
  });
});
