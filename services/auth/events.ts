import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Money } from "@ticketing/proto/google/type/money";
import { OrderCompletedSchema } from "@ticketing/proto/orders/v1/order_events";
import { RefundReason, RefundStatus, type Refund } from "@ticketing/proto/payments/v1/payment";
import {
  ChargeFailedSchema,
  ChargeRefundedSchema,
} from "@ticketing/proto/payments/v1/payment_events";
import { on, type EventHandler } from "#runtime/messaging/consumer.ts";
import { formatAmount, toMinor } from "#runtime/money.ts";
import type { Trade } from "./mail/trade-templates.ts";
import type { MailQueue } from "./mail/mail-queue.ts";

/** What every event of a trade says, of an order or of its payment. */
interface About {
  orderId: string;
  title: string;
  amount?: Money | undefined;
}

function toTrade({ orderId, title, amount }: About): Trade {
  if (!amount) throw new Error(`order ${orderId} without its amount`);
  return { orderId, title, amount: formatAmount(toMinor(amount, "amount")) };
}

/** An event tells of all refunds of a payment; that an older one was told of is forgotten by then. */
const TOLD_MS = 29 * 86_400_000;

const isNew = ({ updateTime }: Refund): boolean =>
  updateTime === undefined || Date.now() - timestampMs(updateTime) < TOLD_MS;
const wasPaid = (refund: Refund): boolean =>
  refund.status === RefundStatus.SUCCEEDED && isNew(refund);
/** Nobody had sold anything: the seller has never heard of it. */
const wasSold = ({ reason }: Refund): boolean => reason !== RefundReason.ORDER_ENDED;

/**
 * The letters about trades are written here, because nobody else knows people's addresses: they are in
 * no event. A letter's id says what it is about, so it is written once however often it is heard of.
 */
export function tradeEmailHandlers(mailQueue: Pick<MailQueue, "enqueueOnce">): EventHandler[] {
  return [
    on(OrderCompletedSchema, async ({ order }) => {
      if (!order) throw new Error("an event without its order");
      const { id, userId, sellerId, title, price } = order;
      const trade = toTrade({ orderId: id, title, amount: price });
      await mailQueue.enqueueOnce(`paid:${id}`, "paid", userId, trade);
      await mailQueue.enqueueOnce(`sold:${id}`, "sold", sellerId, trade);
    }),
    on(ChargeFailedSchema, async ({ payment }) => {
      if (!payment) throw new Error("an event without its payment");
      const { attemptId, userId } = payment;
      await mailQueue.enqueueOnce(`refused:${attemptId}`, "refused", userId, toTrade(payment));
    }),
    on(ChargeRefundedSchema, async ({ payment }) => {
      if (!payment) throw new Error("an event without its payment");
      const { orderId, title, userId, sellerId } = payment;
      for (const refund of payment.refunds.filter(wasPaid)) {
        const trade = toTrade({ orderId, title, amount: refund.amount });
        await mailQueue.enqueueOnce(`refunded:${refund.id}`, "refunded", userId, trade);
        if (!wasSold(refund)) continue;
        await mailQueue.enqueueOnce(`returned:${refund.id}`, "returned", sellerId, trade);
      }
    }),
  ];
}
