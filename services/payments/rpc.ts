import type { ConnectRouter } from "@connectrpc/connect";
import {
  CreatePaymentRequestSchema,
  PaymentService,
} from "@ticketing/proto/payments/v1/payment_service";
import { caller } from "#runtime/auth.ts";
import { DomainError } from "#runtime/errors.ts";
import { requestMark } from "#runtime/request-id.ts";
import { pay } from "./pay.ts";
import { newest, toProto, type PaymentFields } from "./payment.ts";
import { settle, type SettleDeps } from "./settle.ts";

/** While an attempt is open, whoever asks for it makes us ask Stripe, so often at most. */
const ASK_EVERY_MS = 2_000;

export function paymentRoutes(deps: SettleDeps) {
  const { payments, stripe, now } = deps;

  async function find(orderId: string, userId: string): Promise<PaymentFields> {
    const payment = await payments.findById(orderId, { outbox: 0 }).lean<PaymentFields>();
    if (payment?.order.userId === userId && newest(payment)) return payment;
    throw new DomainError("PAYMENT_NOT_FOUND", "you have made no such payment");
  }

  const isOpen = (payment: PaymentFields): boolean => {
    const status = newest(payment)?.status;
    return status === "PENDING" || status === "REQUIRES_ACTION";
  };

  return (router: ConnectRouter) =>
    router.service(PaymentService, {
      async createPayment(request, ctx) {
        const mark = requestMark(CreatePaymentRequestSchema, request);
        const { payment, clientSecret } = await pay(deps, caller(ctx).id, request, mark);
        return { payment: toProto(payment), clientSecret };
      },

      async getPayment({ orderId }, ctx) {
        const userId = caller(ctx).id;
        let payment = await find(orderId, userId);
        if (isOpen(payment) && askedLongAgo(orderId, now())) {
          await settle(deps, orderId, true);
          payment = await find(orderId, userId);
        }
        const attempt = newest(payment);
        const asked = attempt?.status === "REQUIRES_ACTION" && attempt.stripeId;
        const intent = asked ? await stripe.paymentIntents.retrieve(asked) : undefined;
        return { payment: toProto(payment), clientSecret: intent?.client_secret ?? "" };
      },
    });
}

const lastAsked = new Map<string, number>();

function askedLongAgo(orderId: string, now: number): boolean {
  for (const [id, at] of lastAsked) if (now - at > ASK_EVERY_MS) lastAsked.delete(id);
  if (lastAsked.has(orderId)) return false;
  lastAsked.set(orderId, now);
  return true;
}
