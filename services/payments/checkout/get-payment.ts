import type { MessageInitShape } from "@bufbuild/protobuf";
import type { GetPaymentResponseSchema } from "@ticketing/proto/payments/v1/payment_service";
import type { Caller } from "#runtime/identity/tokens.ts";
import { runWithoutDeadline } from "#runtime/call-deadline.ts";
import { toBuyerMessage, toMessage, toSellerMessage } from "../payment-message.ts";
import { isOpen, type PaymentFields } from "../payment.ts";
import { paymentNotFound, roleOf, type RefundDeps } from "../refunds/refund-payment.ts";
import { refundability, type Role } from "../refunds/refundability.ts";
import { settlePayment } from "../settlement/settlement.ts";
import { withoutSecrets } from "../stripe/client.ts";
import { nextActions } from "./next-action.ts";

/** While an attempt is open, a read polls Stripe, at most this often for each order. */
const POLL_INTERVAL_MS = 2_000;

type View = Omit<MessageInitShape<typeof GetPaymentResponseSchema>, "$typeName">;

export interface PaymentViews {
  /** The whole payment, with the next action of its buyer where their bank requires one. */
  buyerView(payment: PaymentFields): Promise<View>;
  /** The payment of an order as the caller may see it. */
  getPayment(caller: Caller, orderId: string): Promise<View>;
}

/** Throws an error of Stripe's as one that carries no secrets. */
export const throwWithoutSecrets = (error: unknown): never => {
  throw withoutSecrets(error);
};

/** Returns true for a key at most once in an interval. */
function oncePer(intervalMs: number, now: () => number): (key: string) => boolean {
  const lastTimes = new Map<string, number>();
  return (key) => {
    for (const [each, at] of lastTimes) if (now() - at >= intervalMs) lastTimes.delete(each);
    if (lastTimes.has(key)) return false;
    lastTimes.set(key, now());
    return true;
  };
}

/** What buyers, sellers and administrators see of payments. */
export function paymentViews(deps: RefundDeps): PaymentViews {
  const { payments, stripe, log, now, holdDays } = deps;
  const mayPoll = oncePer(POLL_INTERVAL_MS, now);
  const nextActionOf = nextActions(stripe);

  async function find(caller: Caller, orderId: string) {
    const payment = await payments.findById(orderId, { outbox: 0 });
    const role = payment && roleOf(caller, payment);
    if (!role) throw paymentNotFound();
    return { payment, role };
  }

  const buyerView = async (payment: PaymentFields): Promise<View> => ({
    payment: toBuyerMessage(payment),
    ...(await nextActionOf(payment).catch(throwWithoutSecrets)),
  });

  function viewOf(payment: PaymentFields, role: Role, { id }: Caller): View | Promise<View> {
    if (role === "SELLER") return { payment: toSellerMessage(payment) };
    return payment.order.userId === id ? buyerView(payment) : { payment: toMessage(payment) };
  }

  async function getPayment(caller: Caller, orderId: string): Promise<View> {
    let { payment, role } = await find(caller, orderId);
    if (isOpen(payment) && mayPoll(orderId)) {
      // If Stripe cannot be reached, the state that is already known is the answer.
      await runWithoutDeadline(() => settlePayment(deps, orderId, true)).catch((error: unknown) => {
        log.warn({ orderId, err: (error as Error).message }, "Stripe could not be polled");
      });
      ({ payment, role } = await find(caller, orderId));
    }
    return {
      ...(await viewOf(payment, role, caller)),
      refundability: refundability(payment, role, { now: now(), holdDays }),
    };
  }

  return { buyerView, getPayment };
}
