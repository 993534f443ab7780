import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  OnboardingStatus,
  type GetEarningsResponseSchema,
} from "@ticketing/proto/payments/v1/seller_service";
import { toMoney } from "#runtime/values/money.ts";
import { earningsOf, type Earnings } from "../balances/earnings.ts";
import type { PayoutDeps } from "./payout-execution.ts";
import { refreshAccount, type Seller } from "./seller.ts";

export interface SellerRouteDeps extends PayoutDeps {
  feeBps: number;
}

/** A seller who comes back from Stripe's page reads their earnings. Stripe is asked at most this often. */
const REFRESH_INTERVAL_MS = 2_000;

const toEarningsMessage = ({ currency, held, available, paidOut }: Earnings) => ({
  held: toMoney({ amount: held, currency }),
  available: toMoney({ amount: available, currency }),
  paidOut: toMoney({ amount: paidOut, currency }),
});

const toAccountMessage = ({ accountId, changeTime, updateTime, askTime }: Seller) => ({
  id: accountId,
  changeTime: timestampFromDate(changeTime),
  updateTime: timestampFromDate(updateTime),
  ...(askTime && { askTime: timestampFromDate(askTime) }),
});

function onboardingOf(seller: Seller | null): OnboardingStatus {
  if (!seller) return OnboardingStatus.UNSPECIFIED;
  return seller.ready ? OnboardingStatus.COMPLETE : OnboardingStatus.INCOMPLETE;
}

/** The seller's account, with its state at Stripe, or the last known one if Stripe cannot be reached. */
async function payoutAccountOf(deps: SellerRouteDeps, sellerId: string): Promise<Seller | null> {
  const { sellers, now } = deps;
  const seller = await sellers.findById(sellerId).lean<Seller>();
  const isFresh = seller && now() - seller.updateTime.getTime() < REFRESH_INTERVAL_MS;
  if (!seller || seller.ready || isFresh) return seller;
  const ready = await refreshAccount(deps, seller).catch(() => undefined);
  return ready === undefined ? seller : sellers.findById(sellerId).lean<Seller>();
}

/** A seller's earnings by currency, and whether they can be paid out. */
export async function getEarnings(
  deps: SellerRouteDeps,
  sellerId: string,
): Promise<MessageInitShape<typeof GetEarningsResponseSchema>> {
  const earnings = await earningsOf(deps, sellerId);
  const seller = await payoutAccountOf(deps, sellerId);
  return {
    earnings: earnings.map(toEarningsMessage),
    onboarding: onboardingOf(seller),
    feeBps: deps.feeBps,
    ...(seller && { payoutAccount: toAccountMessage(seller) }),
  };
}
