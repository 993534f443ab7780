import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ConnectRouter } from "@connectrpc/connect";
import {
  OnboardingStatus,
  SellerService,
  type SaleSchema,
} from "@ticketing/proto/payments/v1/seller_service";
import { caller } from "#runtime/rpc/authentication.ts";
import { runWithoutDeadline } from "#runtime/call-deadline.ts";
import { toMoney } from "#runtime/money.ts";
import {
  afterCursor,
  toPage,
  pageSize,
  readPageToken,
  type Cursor,
} from "#runtime/store/paging.ts";
import { earningsOf, type Earnings } from "../balances/earnings.ts";
import { availableTime } from "../balances/availability.ts";
import { feesOf, owedToSeller } from "../ledger.ts";
import { toSellerMessage } from "../payment-message.ts";
import { type PaymentFields } from "../payment.ts";
import { toPayoutMessage, type Payout } from "../payout.ts";
import type { PayoutDeps } from "./payout-worker.ts";
import { refundability } from "../refunds/refundability.ts";
import { refreshAccount, createOnboardingLink, type Seller } from "./seller.ts";
import { withoutSecrets } from "../stripe/client.ts";

export interface SellerRouteDeps extends PayoutDeps {
  feeBps: number;
}

/** Whoever comes back from Stripe's page looks at their earnings; so often at most, we ask. */
const ASK_EVERY_MS = 2_000;

/** What lies after the cursor, in the order of a time and then of ids, the newest first. */
const older = (field: string, { key, id }: Cursor) => afterCursor(field, -1, new Date(key), id);

const earningsToProto = ({ currency, held, available, paidOut }: Earnings) => ({
  held: toMoney({ amount: held, currency }),
  available: toMoney({ amount: available, currency }),
  paidOut: toMoney({ amount: paidOut, currency }),
});

const accountToProto = ({ accountId, changeTime, updateTime, askTime }: Seller) => ({
  id: accountId,
  changeTime: timestampFromDate(changeTime),
  updateTime: timestampFromDate(updateTime),
  ...(askTime && { askTime: timestampFromDate(askTime) }),
});

function onboardingOf(seller: Seller | null): OnboardingStatus {
  if (!seller) return OnboardingStatus.UNSPECIFIED;
  return seller.ready ? OnboardingStatus.COMPLETE : OnboardingStatus.INCOMPLETE;
}

function saleToProto(
  payment: PaymentFields,
  at: { now: number; holdDays: number },
): MessageInitShape<typeof SaleSchema> {
  const { postings, order } = payment;
  const { currency } = order;
  const available = availableTime(payment, at.holdDays);
  const mayRefund = refundability(payment, "SELLER", at);
  return {
    payment: toSellerMessage(payment),
    fee: toMoney({ amount: feesOf(postings), currency }),
    earned: toMoney({ amount: owedToSeller(postings), currency }),
    ...(available && { availableTime: timestampFromDate(available) }),
    ...(mayRefund.until && { refundableUntil: mayRefund.until }),
    refundability: mayRefund,
  };
}

/** What sellers see of their money: each call is about the caller's own, and there is no other way. */
export function sellerRoutes(deps: SellerRouteDeps) {
  const { payments, payouts, sellers, log, now, holdDays, feeBps } = deps;

  /** The caller's account at Stripe, as it is now; where Stripe does not answer, as it was. */
  async function payoutAccountOf(sellerId: string): Promise<Seller | null> {
    const seller = await sellers.findById(sellerId).lean<Seller>();
    if (!seller || seller.ready || now() - seller.updateTime.getTime() < ASK_EVERY_MS)
      return seller;
    const looked = await refreshAccount(deps, seller).catch(() => undefined);
    return looked === undefined ? seller : sellers.findById(sellerId).lean<Seller>();
  }

  return (router: ConnectRouter) =>
    router.service(SellerService, {
      async getEarnings(_, ctx) {
        const sellerId = caller(ctx).id;
        const earnings = await earningsOf(deps, sellerId);
        const seller = await payoutAccountOf(sellerId);
        return {
          earnings: earnings.map(earningsToProto),
          onboarding: onboardingOf(seller),
          feeBps,
          ...(seller && { payoutAccount: accountToProto(seller) }),
        };
      },

      async listSales({ pageSize: asked, pageToken: token }, ctx) {
        const sellerId = caller(ctx).id;
        const query = ["sales", sellerId];
        const after = readPageToken(query, token);
        const size = pageSize(asked);
        const taken = { "order.sellerId": sellerId, captureTime: { $gt: new Date(0) } };
        const found = await payments
          .find(after ? { $and: [taken, older("captureTime", after)] } : taken, { outbox: 0 })
          .sort({ captureTime: -1, _id: -1 })
          .limit(size + 1)
          .lean<PaymentFields[]>();
        const { page, nextPageToken } = toPage(
          query,
          size,
          found,
          ({ captureTime }) => captureTime?.getTime() ?? 0,
        );
        const at = { now: now(), holdDays };
        return { sales: page.map((sale) => saleToProto(sale, at)), nextPageToken };
      },

      async listPayouts({ pageSize: asked, pageToken: token }, ctx) {
        const sellerId = caller(ctx).id;
        const query = ["payouts", sellerId];
        const after = readPageToken(query, token);
        const size = pageSize(asked);
        const found = await payouts
          .find({ sellerId, ...(after && older("createTime", after)) })
          .sort({ createTime: -1, _id: -1 })
          .limit(size + 1)
          .lean<Payout[]>();
        const { page, nextPageToken } = toPage(query, size, found, ({ createTime }) =>
          createTime.getTime(),
        );
        return { payouts: page.map(toPayoutMessage), nextPageToken };
      },

      async startOnboarding(_, ctx) {
        try {
          return {
            url: await runWithoutDeadline(() => createOnboardingLink(deps, caller(ctx).id)),
          };
        } catch (error) {
          const { type, code } = error as { type?: string; code?: string };
          log.warn({ type, code }, "a seller could not be led to Stripe's page");
          throw withoutSecrets(error);
        }
      },
    });
}
