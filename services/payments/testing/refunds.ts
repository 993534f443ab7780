import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Order } from "@ticketing/proto/orders/v1/order";
import type { RefundStatus } from "@ticketing/proto/payments/v1/payment";
import type {
  RefundPaymentRequestSchema,
  RefundPaymentResponse,
} from "@ticketing/proto/payments/v1/payment_service";
import { as } from "#runtime/testing/tokens.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { newest } from "../payment.ts";
import type { World } from "./payments-fixture.ts";

// For tests of money that goes back.

/** Who may want money back. */
export type Asker = "buyer" | "seller" | "administrator" | "stranger";

/** An order that is paid and completed. */
export async function bought(
  all: World,
  change: Parameters<World["buy"]>[0] = {},
  token = "tok_visa",
): Promise<Order> {
  const order = await all.buy(change);
  await all.pay(order, token);
  await all.settled(order);
  return order;
}

export async function stripeIdOf(all: World, order: Order): Promise<string> {
  return newest(await all.load(order.id))?.stripeId ?? "";
}

/** Asks for money back as one of those who may, or may not. */
export async function askBack(
  { client }: World,
  order: Order,
  who: Asker,
  request: MessageInitShape<typeof RefundPaymentRequestSchema> = {},
): Promise<RefundPaymentResponse> {
  const people = {
    buyer: as(order.userId),
    seller: as(order.sellerId),
    administrator: as("root", "administrator"),
    stranger: as("eve"),
  };
  return client.refundPayment({ orderId: order.id, ...request }, await people[who]);
}

export const refundsOf = async (all: World, order: Order): Promise<string[]> =>
  (await all.load(order.id)).refunds.map(({ status }) => status);

/** Resolves once the newest refund has this status. */
export const refundIs = (
  all: World,
  order: Order,
  status: Exclude<keyof typeof RefundStatus, "UNSPECIFIED">,
): Promise<unknown> =>
  eventually(
    async () => (await refundsOf(all, order)).at(-1) === status,
    `the refund to be ${status}`,
  );
