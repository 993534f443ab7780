import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";
import {
  CreatePaymentRequestSchema,
  PaymentService,
  type CreatePaymentResponseSchema,
} from "@ticketing/proto/payments/v1/payment_service";
import { caller } from "#runtime/auth.ts";
import { DomainError } from "#runtime/errors.ts";
import { requestMark } from "#runtime/request-id.ts";
import { pay } from "./pay.ts";
import { isOpen, newest, toProto, type PaymentFields } from "./payment.ts";
import { settle, type SettleDeps } from "./settle.ts";
import { withoutSecrets } from "./stripe.ts";

/** While an attempt is open, whoever asks for it makes us ask Stripe, so often at most. */
const ASK_EVERY_MS = 2_000;
/** So many of the newest client secrets are remembered; another one is asked for again. */
const MOST_SECRETS = 1_000;

type Answer = Omit<MessageInitShape<typeof CreatePaymentResponseSchema>, "$typeName">;

const refuse = (error: unknown): never => {
  throw withoutSecrets(error);
};

export function paymentRoutes(deps: SettleDeps) {
  const { payments, stripe, log, now } = deps;
  const lastAsked = new Map<string, number>();
  const secrets = new Map<string, string>();

  async function find(orderId: string, userId: string): Promise<PaymentFields> {
    const payment = await payments.findById(orderId, { outbox: 0 }).lean<PaymentFields>();
    if (payment?.order.userId === userId && newest(payment)) return payment;
    throw new DomainError("PAYMENT_NOT_FOUND", "you have made no such payment");
  }

  function askedLongAgo(orderId: string): boolean {
    for (const [id, at] of lastAsked) if (now() - at >= ASK_EVERY_MS) lastAsked.delete(id);
    if (lastAsked.has(orderId)) return false;
    lastAsked.set(orderId, now());
    return true;
  }

  /** What Stripe's client code needs where the bank asks the buyer; it is never stored. */
  async function clientSecret(payment: PaymentFields): Promise<string> {
    const { status, stripeId = "" } = newest(payment) ?? {};
    if (status !== "REQUIRES_ACTION") return "";
    const known = secrets.get(stripeId);
    if (known !== undefined) return known;
    const { client_secret: secret } = await stripe.paymentIntents.retrieve(stripeId);
    secrets.set(stripeId, secret ?? "");
    const [oldest = ""] = secrets.keys();
    if (secrets.size > MOST_SECRETS) secrets.delete(oldest);
    return secret ?? "";
  }

  const answer = async (payment: PaymentFields): Promise<Answer> => ({
    payment: toProto(payment),
    clientSecret: await clientSecret(payment).catch(refuse),
  });

  return (router: ConnectRouter) =>
    router.service(PaymentService, {
      async createPayment(request, ctx) {
        const mark = requestMark(CreatePaymentRequestSchema, request);
        return answer(await pay(deps, caller(ctx).id, request, mark).catch(refuse));
      },

      async getPayment({ orderId }, ctx) {
        const userId = caller(ctx).id;
        const payment = await find(orderId, userId);
        if (!isOpen(payment) || !askedLongAgo(orderId)) return answer(payment);
        // What is known already is an answer too.
        await settle(deps, orderId, true).catch((error: unknown) => {
          log.warn({ orderId, err: (error as Error).message }, "the bank could not be asked");
        });
        return answer(await find(orderId, userId));
      },
    });
}
