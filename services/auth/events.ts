import { timestampMs } from "@bufbuild/protobuf/wkt";
import type { Money } from "@ticketing/proto/google/type/money";
import { OrderCompletedSchema } from "@ticketing/proto/orders/v1/order_events";
import { RefundReason, RefundStatus, type Refund } from "@ticketing/proto/payments/v1/payment";
import {
  ChargeFailedSchema,
  ChargeRefundedSchema,
} from "@ticketing/proto/payments/v1/payment_events";
import { DAY_MS } from "#runtime/values/time.ts";
import { on, required, type EventHandler } from "#runtime/messaging/event-handler.ts";
import { formatAmount, toMinor } from "#runtime/values/money.ts";
import type { MailQueue } from "./mail/mail-queue.ts";
import type { Trade } from "./mail/trade-templates.ts";

/** The fields that orders and payments have in common. */
interface TradeFields {
  orderId: string;
  title: string;
  amount?: Money | undefined;
}

function toTrade({ orderId, title, amount }: TradeFields): Trade {
  return { orderId, title, amount: formatAmount(toMinor(required(amount, "amount"), "amount")) };
}

/**
 * Each event carries all refunds of a payment. Older ones were announced by an earlier event, and the
 * record of their email may have expired.
 */
const ANNOUNCED_AFTER_MS = 29 * DAY_MS;

const isRecent = ({ updateTime }: Refund): boolean =>
  updateTime === undefined || Date.now() - timestampMs(updateTime) < ANNOUNCED_AFTER_MS;
const isAnnounced = (refund: Refund): boolean =>
  refund.status === RefundStatus.SUCCEEDED && isRecent(refund);
/** Whether the seller knew of a sale. An order that ended before its payment never became one. */
const wasSold = ({ reason }: Refund): boolean => reason !== RefundReason.ORDER_ENDED;

/**
 * Auth sends the emails about trades, because no event contains an email address. The id of an email
 * identifies what it is about, so a redelivered event sends none again.
 */
export function tradeEmailHandlers(mailQueue: Pick<MailQueue, "enqueueOnce">): EventHandler[] {
  return [
    on(OrderCompletedSchema, async ({ order }) => {
      const { id, userId, sellerId, title, price } = required(order, "order");
      const trade = toTrade({ orderId: id, title, amount: price });
      await mailQueue.enqueueOnce(`paid:${id}`, "paid", userId, trade);
      await mailQueue.enqueueOnce(`sold:${id}`, "sold", sellerId, trade);
    }),
    on(ChargeFailedSchema, async ({ payment }) => {
      const failed = required(payment, "payment");
      const { attemptId, userId } = failed;
      await mailQueue.enqueueOnce(`refused:${attemptId}`, "refused", userId, toTrade(failed));
    }),
    on(ChargeRefundedSchema, async ({ payment }) => {
      const { orderId, title, userId, sellerId, refunds } = required(payment, "payment");
      for (const refund of refunds.filter(isAnnounced)) {
        const trade = toTrade({ orderId, title, amount: refund.amount });
        await mailQueue.enqueueOnce(`refunded:${refund.id}`, "refunded", userId, trade);
        if (!wasSold(refund)) continue;
        await mailQueue.enqueueOnce(`returned:${refund.id}`, "returned", sellerId, trade);
      }
    }),
  ];
}
