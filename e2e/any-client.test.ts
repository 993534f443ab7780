import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  create,
  fromBinary,
  toBinary,
  type DescMessage,
  type DescService,
  type MessageInitShape,
  type MessageShape,
} from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { AuthService, TokenDelivery } from "@ticketing/proto/auth/v1/auth_service";
import { OrderStatus } from "@ticketing/proto/orders/v1/order";
import { OrderService } from "@ticketing/proto/orders/v1/order_service";
import { PaymentService } from "@ticketing/proto/payments/v1/payment_service";
import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import { beforeAll, describe, expect, inject, it } from "vitest";
import { until } from "#stack/process";
import { listTicket, signUp, type Person } from "./testing/person.ts";
import "./testing/setup.ts"; // For the type of what it provides.

const { url } = inject("marketplace");
const run = promisify(execFile);
const root = join(import.meta.dirname, "..");

let seller: Person;
beforeAll(async () => {
  seller = await signUp(url, "seller");
});

/** What a purchase requires of a client: it calls a method with a token, and reads the response. */
type Call = (method: string, request: object, token?: string) => Promise<any>;

/** Signs up, orders a ticket, pays it, and waits until the order is completed. */
async function purchase(call: Call): Promise<void> {
  const { id: ticketId } = await listTicket(seller);
  const { tokens } = await call("auth.v1.AuthService/SignUp", {
    email: `buyer-${crypto.randomUUID()}@example.com`,
    password: crypto.randomUUID(),
    tokenDelivery: "TOKEN_DELIVERY_BODY",
  });
  const token = tokens.accessToken as string;
  const found = await call("tickets.v1.TicketService/GetTicket", { id: ticketId });
  const request = { ticketId, ticketVersion: found.ticket.version, requestId: crypto.randomUUID() };
  const order = await until(
    async () => (await call("orders.v1.OrderService/CreateOrder", request, token)).order,
    { what: "an order", timeoutMs: 10_000, everyMs: 200 },
  );
  const payment = {
    orderId: order.id,
    token: "tok_visa",
    amount: order.price,
    requestId: request.requestId,
  };
  await until(() => call("payments.v1.PaymentService/CreatePayment", payment, token), {
    what: "a payment",
    timeoutMs: 10_000,
    everyMs: 200,
  });
  const isMine = async () =>
    (await call("orders.v1.OrderService/GetOrder", { id: order.id }, token)).order.status ===
    "ORDER_STATUS_COMPLETED";
  await until(isMine, { what: "the completed order", timeoutMs: 15_000, everyMs: 200 });
}

describe("the whole purchase", () => {
  it("works with curl on the REST paths", async () => {
    const rest: Record<string, (request: any) => [string, string]> = {
      SignUp: () => ["POST", "/api/users/signup"],
      GetTicket: ({ id }) => ["GET", `/api/tickets/${id}`],
      CreateOrder: () => ["POST", "/api/orders"],
      GetOrder: ({ id }) => ["GET", `/api/orders/${id}`],
      CreatePayment: () => ["POST", "/api/payments"],
    };
    await purchase(async (method, request, token) => {
      const [verb, path] = rest[method.split("/")[1] ?? ""]?.(request) ?? ["", ""];
      const body =
        verb === "POST"
          ? ["-H", "content-type: application/json", "-d", JSON.stringify(request)]
          : [];
      const bearer = token ? ["-H", `authorization: Bearer ${token}`] : [];
      const { stdout } = await run("curl", ["-fsS", "-X", verb, ...body, ...bearer, url + path]);
      return JSON.parse(stdout);
    });
  });

  it("works with curl on the RPC paths, as Connect's JSON", async () => {
    await purchase(async (method, request, token) => {
      const bearer = token ? ["-H", `authorization: Bearer ${token}`] : [];
      const json = ["-H", "content-type: application/json", "-d", JSON.stringify(request)];
      const { stdout } = await run("curl", [
        "-fsS",
        ...json,
        ...bearer,
        `${url}/ticketing.${method}`,
      ]);
      return JSON.parse(stdout);
    });
  });

  it.each(["grpc", "grpcweb", "connect"])("works with buf curl over %s", async (protocol) => {
    await purchase(async (method, request, token) => {
      const bearer = token ? ["-H", `authorization: Bearer ${token}`] : [];
      const { stdout } = await run(
        join(root, "node_modules/.bin/buf"),
        [
          ...["curl", "--schema", ".", "--protocol", protocol, "--http2-prior-knowledge"],
          ...["-d", JSON.stringify(request), ...bearer, `${url}/ticketing.${method}`],
        ],
        { cwd: root },
      );
      return JSON.parse(stdout);
    });
  });

  it("can be discovered by clients without the schema", async () => {
    const { stdout } = await run(join(root, "node_modules/.bin/buf"), [
      ...["curl", "--http2-prior-knowledge", "--list-methods", url],
    ]);
    for (const method of [
      "OrderService/CreateOrder",
      "TicketService/ListTickets",
      "PaymentService/CreatePayment",
    ]) {
      expect(stdout).toContain(method);
    }
  });

  it("works with plain @grpc/grpc-js", async () => {
    const { host } = new URL(url);
    const client = new grpc.Client(host, grpc.credentials.createInsecure());
    /** A unary call that uses only the contract. */
    function unary<I extends DescMessage, O extends DescMessage>(
      service: DescService,
      name: string,
      input: I,
      output: O,
      request: MessageInitShape<I>,
      token?: string,
    ): Promise<MessageShape<O>> {
      const metadata = new grpc.Metadata();
      if (token) metadata.set("authorization", `Bearer ${token}`);
      return new Promise((resolve, reject) =>
        client.makeUnaryRequest(
          `/${service.typeName}/${name}`,
          (message: MessageShape<I>) => Buffer.from(toBinary(input, message)),
          (bytes: Buffer) => fromBinary(output, bytes),
          create(input, request),
          metadata,
          { deadline: Date.now() + 10_000 },
          (error, answer) => (answer ? resolve(answer) : reject(error ?? new Error("no answer"))),
        ),
      );
    }
    try {
      const { id: ticketId, version } = await listTicket(seller);
      const { signUp: up } = AuthService.method;
      const { tokens } = await unary(AuthService, "SignUp", up.input, up.output, {
        email: `grpc-${crypto.randomUUID()}@example.com`,
        password: crypto.randomUUID(),
        tokenDelivery: TokenDelivery.BODY,
      });
      const token = tokens?.accessToken ?? "";
      const { getTicket } = TicketService.method;
      const found = await unary(TicketService, "GetTicket", getTicket.input, getTicket.output, {
        id: ticketId,
      });
      expect(found.ticket?.version).toBe(version);
      const { createOrder, getOrder } = OrderService.method;
      const request = { ticketId, ticketVersion: version };
      const order = await until(
        async () =>
          (
            await unary(
              OrderService,
              "CreateOrder",
              createOrder.input,
              createOrder.output,
              request,
              token,
            )
          ).order,
        { what: "an order", timeoutMs: 10_000 },
      );
      const { createPayment } = PaymentService.method;
      const payment = { orderId: order.id, token: "tok_visa" };
      await until(
        () =>
          unary(
            PaymentService,
            "CreatePayment",
            createPayment.input,
            createPayment.output,
            payment,
            token,
          ),
        { what: "a payment", timeoutMs: 10_000 },
      );
      const mine = () =>
        unary(OrderService, "GetOrder", getOrder.input, getOrder.output, { id: order.id }, token);
      await until(async () => (await mine()).order?.status === OrderStatus.COMPLETED, {
        what: "the sale",
      });
      const refused = await unary(OrderService, "GetOrder", getOrder.input, getOrder.output, {
        id: order.id,
      }).then(
        () => undefined,
        (error: grpc.ServiceError) => error.code,
      );
      expect(refused).toBe(grpc.status.UNAUTHENTICATED);
    } finally {
      client.close();
    }
  });
});
