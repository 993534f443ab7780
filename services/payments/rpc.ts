import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import {
  CreatePaymentRequestSchema,
  PaymentService,
  RefundPaymentRequestSchema,
  type GetPaymentResponseSchema,
} from "@ticketing/proto/payments/v1/payment_service";
import { caller, type Caller } from "#runtime/rpc/authentication.ts";
import { runWithoutDeadline } from "#runtime/call-deadline.ts";
import { addressOf } from "#runtime/identity/client-network.ts";
import { idempotencyKey } from "#runtime/store/request-id.ts";
import { nextActions } from "./checkout/next-action.ts";
import { claimsOf, type ClaimDeps } from "./payouts/claims.ts";
import { createPayment, type CheckoutDeps } from "./checkout/create-payment.ts";
import { toRefundMessage, toBuyerMessage, toMessage, toSellerMessage } from "./payment-message.ts";
import { isOpen, type PaymentFields } from "./payment.ts";
import { noSuchPayment, refundPayment, roleOf, type RefundDeps } from "./refunds/refund-payment.ts";
import { refundability, type Role } from "./refunds/refundability.ts";
import { settlePayment } from "./settlement/settlement.ts";
import { withoutSecrets } from "./stripe/client.ts";

/** While an attempt is open, whoever asks for it makes us ask Stripe, so often at most. */
const ASK_EVERY_MS = 2_000;

type Answer = Omit<MessageInitShape<typeof GetPaymentResponseSchema>, "$typeName">;

const refuse = (error: unknown): never => {
  throw withoutSecrets(error);
};

export function paymentRoutes(deps: CheckoutDeps & RefundDeps & ClaimDeps) {
  const { payments, stripe, log, now, holdDays } = deps;
  const lastAsked = new Map<string, number>();
  const actionOf = nextActions(stripe);

  async function find(
    orderId: string,
    who: Caller,
  ): Promise<{ payment: PaymentFields; role: Role }> {
    const payment = await payments.findById(orderId, { outbox: 0 });
    const role = payment && roleOf(who, payment);
    if (!role) throw noSuchPayment();
    return { payment, role };
  }

  function askedLongAgo(orderId: string): boolean {
    for (const [id, at] of lastAsked) if (now() - at >= ASK_EVERY_MS) lastAsked.delete(id);
    if (lastAsked.has(orderId)) return false;
    lastAsked.set(orderId, now());
    return true;
  }

  /** The whole payment, and for its buyer how they confirm it where the bank asks for that. */
  const buyersAnswer = async (payment: PaymentFields): Promise<Answer> => ({
    payment: toBuyerMessage(payment),
    ...(await actionOf(payment).catch(refuse)),
  });

  function shown(payment: PaymentFields, role: Role, userId: string): Answer | Promise<Answer> {
    if (role === "SELLER") return { payment: toSellerMessage(payment) };
    return payment.order.userId === userId
      ? buyersAnswer(payment)
      : { payment: toMessage(payment) };
  }

  const answer = async (payment: PaymentFields, role: Role, userId: string): Promise<Answer> => ({
    ...(await shown(payment, role, userId)),
    refundability: refundability(payment, role, { now: now(), holdDays }),
  });

  return (router: ConnectRouter) =>
    router.service(PaymentService, {
      async createPayment(request, ctx) {
        const mark = idempotencyKey(CreatePaymentRequestSchema, request);
        const payer = { userId: caller(ctx).id, address: addressOf(ctx.requestHeader) };
        // What Stripe did is stored, however late: money moves by it.
        const paid = runWithoutDeadline(() => createPayment(deps, payer, request, mark));
        return buyersAnswer(await paid.catch(refuse));
      },

      async getPayment({ orderId }, ctx) {
        const who = caller(ctx);
        const { payment, role } = await find(orderId, who);
        if (!isOpen(payment) || !askedLongAgo(orderId)) return answer(payment, role, who.id);
        // What is known already is an answer too.
        await runWithoutDeadline(() => settlePayment(deps, orderId, true)).catch(
          (error: unknown) => {
            log.warn({ orderId, err: (error as Error).message }, "the bank could not be asked");
          },
        );
        const later = await find(orderId, who);
        return answer(later.payment, later.role, who.id);
      },

      async listClaims(_, ctx) {
        return { claims: await claimsOf(deps, caller(ctx).id) };
      },

      async refundPayment(request, ctx) {
        const mark = idempotencyKey(RefundPaymentRequestSchema, request);
        const { payment, refund } = await refundPayment(deps, caller(ctx), request, mark);
        return { refund: toRefundMessage(payment, refund) };
      },
    });
}
