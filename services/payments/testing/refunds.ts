import type { MessageInitShape } from "@bufbuild/protobuf";
import type { Order } from "@ticketing/proto/orders/v1/order";
import type { RefundStatus } from "@ticketing/proto/payments/v1/payment";
import type {
  RefundPaymentRequestSchema,
  RefundPaymentResponse,
} from "@ticketing/proto/payments/v1/payment_service";
import { as } from "#runtime/testing/tokens.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { newestAttempt } from "../payment.ts";
import type { PaymentsFixture } from "./payments-fixture.ts";

// Helpers for tests of refunds.

/** The roles that request refunds. */
export type RefundRequester = "buyer" | "seller" | "administrator" | "stranger";

/** An order that is paid and completed. */
export async function completedOrder(
  fixture: PaymentsFixture,
  change: Parameters<PaymentsFixture["buy"]>[0] = {},
  token = "tok_visa",
): Promise<Order> {
  const order = await fixture.buy(change);
  await fixture.pay(order, token);
  await fixture.settled(order);
  return order;
}

export async function stripeIdOf(fixture: PaymentsFixture, order: Order): Promise<string> {
  return newestAttempt(await fixture.load(order.id))?.stripeId ?? "";
}

/** Requests a refund in a role. */
export async function requestRefund(
  { client }: PaymentsFixture,
  order: Order,
  who: RefundRequester,
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

export const refundsOf = async (fixture: PaymentsFixture, order: Order): Promise<string[]> =>
  (await fixture.load(order.id)).refunds.map(({ status }) => status);

/** Resolves once the newest refund has this status. */
export const refundReaches = (
  fixture: PaymentsFixture,
  order: Order,
  status: Exclude<keyof typeof RefundStatus, "UNSPECIFIED">,
): Promise<unknown> =>
  eventually(
    async () => (await refundsOf(fixture, order)).at(-1) === status,
    `the refund to be ${status}`,
  );
