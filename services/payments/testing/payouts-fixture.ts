import { SellerService } from "@ticketing/proto/payments/v1/seller_service";
import type Stripe from "stripe";
import { onTestFinished } from "vitest";
import { update } from "#runtime/store/aggregate.ts";
import { newId } from "#runtime/store/ids.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { banReplicaModel } from "#marketplace/ban-replica.ts";
import { recordedLog } from "#runtime/testing/log.ts";
import { testClient } from "#runtime/testing/client.ts";
import { testDatabase, testDatabaseUri } from "#runtime/testing/database.ts";
import { balanceModel } from "../balances/balance.ts";
import { recordDispute } from "../refunds/dispute.ts";
import type { Line } from "../ledger.ts";
import { capture } from "../settlement/attempt.ts";
import { newestAttempt, type OrderReplica, type Payment } from "../payment.ts";
import { paymentModel } from "../payment-model.ts";
import { stripeAccounts, type PayoutAccounts } from "../stripe/payout-accounts.ts";
import { payoutModel, type Payout } from "../payout.ts";
import { payoutWorker, type PayoutWorker } from "../payouts/payout-worker.ts";
import { recordRefund } from "../refunds/refund.ts";
import {
  refreshAccount,
  createOnboardingLink,
  sellerModel,
  type Seller,
} from "../payouts/seller.ts";
import { sellerRoutes } from "../payouts/seller-rpc.ts";
import { FEE_BPS } from "./payments-fixture.ts";
import { fastRetryStripe, KEY, localStripe, type StripeFault } from "./stripe-fixture.ts";

export const DAY_MS = 86_400_000;
export const PUBLIC_URL = "https://shop.example";

interface Sale extends Partial<
  Pick<OrderReplica, "sellerId" | "title" | "venue" | "price" | "currency" | "eventTime">
> {
  /** How many days ago the event began; negative if it is to come. */
  eventDaysAgo?: number | undefined;
  /** How many days ago the ticket was sold. */
  daysAgo?: number;
}

/** The response of `/_test/records` of the local Stripe. */
export interface StripeObjects {
  transfers: Stripe.Transfer[];
  balance_transactions: Stripe.BalanceTransaction[];
}

/**
 * Payouts with real dependencies, for one test. Each sale is in our ledger and at Stripe. Stripe
 * sends no webhooks unless `webhook` is given.
 */
export async function payoutsFixture(webhook?: { url: string; secret: string }) {
  const db = await testDatabase("payouts");
  const uri = testDatabaseUri(db.name);
  const { log, lines } = recordedLog();
  const payments = paymentModel(db);
  const payouts = payoutModel(db);
  const sellers = sellerModel(db);
  const balances = balanceModel(db);
  await buildIndexes(payments, payouts, sellers, balances);
  const clock = { ahead: 0 };
  const now = (): number => Date.now() + clock.ahead;

  const { base, control } = await localStripe(webhook);
  const stripe = fastRetryStripe(base);
  const accountsBy = (by: Stripe): PayoutAccounts =>
    stripeAccounts({ stripe: by, publicUrl: PUBLIC_URL, now });
  const deps = {
    ...{ payments, payouts, sellers, balances, log, now, holdDays: 14, feeBps: FEE_BPS },
    banReplica: banReplicaModel(db),
    accounts: accountsBy(stripe),
  };

  /** A process of the service. Another one may run beside it or after it. */
  const start = (accounts: PayoutAccounts = deps.accounts): PayoutWorker =>
    payoutWorker({ ...deps, accounts });

  /** A captured sale, here and at Stripe. */
  async function sell({ eventDaysAgo, daysAgo = 0, ...change }: Sale = {}): Promise<string> {
    const order: OrderReplica = {
      ...{ userId: "ann", sellerId: "sam", ticketId: newId(), title: "A concert" },
      ...{ price: 10_000, currency: "EUR", status: "COMPLETED", expired: false, version: 3 },
      ...{ expiresAt: new Date(), attemptId: newId(), ...change },
      ...(eventDaysAgo !== undefined && { eventTime: new Date(now() - eventDaysAgo * DAY_MS) }),
    };
    const id = newId();
    const intent = await stripe.paymentIntents.create({
      amount: order.price,
      currency: order.currency.toLowerCase(),
      ...{ payment_method: "pm_card_visa", allowed_payment_method_types: ["card"], confirm: true },
      metadata: { order_id: id },
    });
    const attempt = { _id: order.attemptId, stripeId: intent.id, createTime: new Date() };
    const attempts = [{ ...attempt, status: "AUTHORIZED" as const }];
    const payment = new payments({ _id: id, order, attempts });
    capture(payment, order.attemptId, FEE_BPS);
    payment.captureTime = new Date(now() - daysAgo * DAY_MS);
    await payment.save();
    return id;
  }

  async function change(id: string, by: (payment: Payment) => boolean): Promise<void> {
    await update(payments, id, by);
  }

  const intentOf = async (id: string): Promise<string> =>
    newestAttempt(await payments.findById(id).orFail())?.stripeId ?? "";

  /** Refunds a sale, at Stripe and here. */
  async function refund(id: string, amount: number): Promise<void> {
    const made = await stripe.refunds.create({ payment_intent: await intentOf(id), amount });
    const said = { refundId: undefined, stripeId: made.id, amount, failed: false };
    await change(id, (payment) => recordRefund(payment, { ...said, createTime: new Date() }));
  }

  /** The buyer's bank takes the money, and may return it. */
  async function dispute(id: string, end?: "won" | "lost"): Promise<void> {
    await control("POST", "disputes", { payment_intent: await intentOf(id) });
    const note = async (): Promise<string> => {
      const { data } = await stripe.disputes.list({ payment_intent: await intentOf(id) });
      const [newest] = data;
      if (!newest) throw new Error("there is no dispute");
      await change(id, (payment) => recordDispute(payment, newest));
      return newest.id;
    };
    const disputeId = await note();
    if (!end) return;
    await control("POST", `disputes/${disputeId}`, { status: end });
    await note();
  }

  const account = (sellerId = "sam"): Promise<Seller> =>
    sellers.findById(sellerId).orFail().lean<Seller>().exec();

  /** Sets the status of a seller's account at Stripe; payments does not know it yet. */
  async function setAccountStatus(
    status: "active" | "restricted",
    sellerId?: string,
  ): Promise<void> {
    await control("POST", `accounts/${(await account(sellerId)).accountId}`, { status });
  }

  /** A seller whose account is ready for payouts. */
  async function onboardSeller(sellerId = "sam"): Promise<void> {
    await createOnboardingLink(deps, sellerId);
    await setAccountStatus("active", sellerId);
    await refreshAccount(deps, await account(sellerId));
  }

  const client = testClient(SellerService, sellerRoutes(deps), log);

  const storedPayouts = (): Promise<Payout[]> =>
    payouts.find().sort({ createTime: 1 }).lean<Payout[]>();
  const stripeObjects = (): Promise<StripeObjects> => control<StripeObjects>("GET", "records");

  /** Every line of the ledger, by its currency. */
  async function ledger(): Promise<(Line & { currency: string })[]> {
    const sales = (await payments.find()).map(({ postings, order: { currency } }) => ({
      postings,
      currency,
    }));
    return [...sales, ...(await storedPayouts())].flatMap(({ postings, currency }) =>
      postings.flatMap(({ lines: of }) =>
        of.map(({ account, amount }) => ({ account, amount, currency })),
      ),
    );
  }

  // No secret of a test may appear in the log.
  onTestFinished(() => {
    const said = JSON.stringify(lines);
    for (const secret of [KEY, "_secret_", "Bearer "]) {
      if (said.includes(secret)) throw new Error(`a log says ${secret}`);
    }
  });

  return {
    ...{
      account,
      accountsBy,
      base,
      stripeObjects,
      client,
      clock,
      db,
      deps,
      dispute,
      intentOf,
      ledger,
      lines,
    },
    ...{
      onboardSeller,
      payments,
      payouts,
      refund,
      sell,
      sellers,
      setAccountStatus,
      start,
      stripe,
      control,
      uri,
    },
    storedPayouts,
    fault: (fault: StripeFault) => control("POST", "faults", fault),
  };
}
export type PayoutsFixture = Awaited<ReturnType<typeof payoutsFixture>>;
