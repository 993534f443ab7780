import * as http2 from "node:http2";
import { text as textOf } from "node:stream/consumers";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  GetTicketRequestSchema,
  GetTicketResponseSchema,
  ListTicketsRequestSchema,
  ListTicketsResponseSchema,
  TicketService,
} from "@ticketing/proto/tickets/v1/ticket_service";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type EdgeFixture, startEdgeFixture } from "./testing/edge-fixture.ts";
import { request } from "./testing/http-request.ts";

// gRPC-Web in base64, as the official client sends it.

let fixture: EdgeFixture;
beforeAll(async () => void (fixture = await startEdgeFixture()), 90_000);
afterAll(() => fixture[Symbol.asyncDispose]());
beforeEach(() => void (fixture.calls.length = 0));

const id = "019f0000-0000-7000-8000-000000000001";

describe("grpc-web-text", () => {
  const type = "application/grpc-web-text";
  const call = (body: string, headers = {}) =>
    request(fixture, "POST", "/ticketing.tickets.v1.TicketService/GetTicket", {
      headers: { "content-type": type, accept: type, "x-grpc-web": "1", ...headers },
      body,
    });
  const list = "/ticketing.tickets.v1.TicketService/ListTickets";
  function frame(bytes: Uint8Array): string {
    const head = Buffer.alloc(5);
    head.writeUInt32BE(bytes.byteLength, 1);
    return Buffer.concat([head, bytes]).toString("base64");
  }
  /** The frames of a response, encoded one by one or all together. */
  const framesOf = (text: string): Buffer[] => {
    let rest = Buffer.concat(
      (text.match(/[^=]+=*/g) ?? []).map((part) => Buffer.from(part, "base64")),
    );
    const frames: Buffer[] = [];
    for (; rest.byteLength >= 5; rest = rest.subarray(5 + rest.readUInt32BE(1)))
      frames.push(rest.subarray(0, 5 + rest.readUInt32BE(1)));
    return frames;
  };

  it("gets a response in base64", async () => {
    fixture.respond(TicketService.method.getTicket, ({ id }) => ({
      ticket: { id, title: "Blue" },
    }));
    const request = toBinary(GetTicketRequestSchema, create(GetTicketRequestSchema, { id }));
    const answer = await call(frame(request));
    expect(answer.status).toBe(200);
    expect(answer.headers["content-type"]).toMatch(/^application\/grpc-web-text/);
    const [message, trailer] = framesOf(answer.text);
    const { ticket } = fromBinary(GetTicketResponseSchema, message!.subarray(5));
    expect(ticket).toMatchObject({ id, title: "Blue" });
    expect(trailer?.toString("latin1")).toMatch(/grpc-status: ?0/);
  });

  it("can be large, and can arrive in pieces", async () => {
    fixture.respond(TicketService.method.listTickets, ({ pageToken }) => ({
      nextPageToken: pageToken,
    }));
    // The field's tag takes one byte, and its length three.
    const pageToken = "x".repeat(64 * 1024 - 4);
    const session = http2.connect(fixture.edge.url);
    const headers = { ":method": "POST", ":path": list, "content-type": type };
    const stream = session.request(headers);
    const bytes = toBinary(
      ListTicketsRequestSchema,
      create(ListTicketsRequestSchema, { pageToken }),
    );
    const text = frame(bytes);
    for (let at = 0; at < text.length; at += 9_999) stream.write(text.slice(at, at + 9_999));
    stream.end();
    const [message] = framesOf(await textOf(stream));
    session.destroy();
    expect(fromBinary(ListTicketsResponseSchema, message!.subarray(5)).nextPageToken).toBe(
      pageToken,
    );
  });

  it("has the same limit of 64 KiB as without base64", async () => {
    const large = (bytes: number) => call(frame(new Uint8Array(bytes)));
    for (const bytes of [64 * 1024 + 1, 70_000, 200_000])
      expect(
        framesOf((await large(bytes)).text)
          .map(String)
          .join(),
        String(bytes),
      ).toMatch(/grpc-status: ?8/);
    expect(fixture.calls).toEqual([]);
  });

  it("is rejected in the format of gRPC-Web, also in base64", async () => {
    const path = "/ticketing.orders.v1.OrderService/ListOrders";
    const headers = { "content-type": type, accept: type };
    const refused = await request(fixture, "POST", path, { headers, body: "AAAAAAA=" });
    expect(refused.status).toBe(200);
    expect(refused.headers["content-type"]).toMatch(/^application\/grpc-web-text/);
    expect(framesOf(refused.text).map(String).join()).toMatch(/grpc-status: ?16/);
  });
});

describe("grpc-web-text that reaches no service", () => {
  const own = "/ticketing.tickets.v1.TicketService";
  it.each([
    [12, "an unknown method", "POST", `${own}/Nope`, {}],
    [12, "an unknown service", "POST", "/acme.v1.Service/Get", {}],
    [12, "an unknown service of our package", "POST", "/ticketing.none.v1.None/Get", {}],
    [12, "another HTTP method", "PUT", `${own}/GetTicket`, {}],
    [12, "a path with an encoded slash", "POST", `${own}%2fGetTicket`, {}],
    [3, "an invalid host", "POST", `${own}/GetTicket`, { host: "a:b" }],
    [16, "a method without a token", "POST", "/ticketing.orders.v1.OrderService/ListOrders", {}],
  ] as const)("is rejected in base64 with %i: %s", async (code, _, method, path, more) => {
    for (const type of ["application/grpc-web-text", "Application/GRPC-Web-Text+Proto"]) {
      const headers = { "content-type": type, ...more };
      const refused = await request(fixture, method, path, { headers, body: "AAAAAAA=" });
      expect(refused.status).toBe(200);
      expect(refused.headers["content-type"]).toMatch(/^application\/grpc-web-text/);
      const frame = Buffer.from(refused.text, "base64");
      expect([frame[0], frame.readUInt32BE(1)]).toEqual([0x80, frame.byteLength - 5]);
      expect(frame.toString("latin1")).toMatch(new RegExp(`grpc-status: ?${code}\r`));
    }
  });
});
