import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type {
  ListSalesRequest,
  ListSalesResponseSchema,
  SaleSchema,
} from "@ticketing/proto/payments/v1/seller_service";
import { toMoney } from "#runtime/values/money.ts";
import { afterCursor, pageSize, readPageToken, toPage } from "#runtime/store/paging.ts";
import { availableTime } from "../balances/availability.ts";
import { feesOf, owedToSeller } from "../ledger.ts";
import { toSellerMessage } from "../payment-message.ts";
import { WAS_CAPTURED, type PaymentFields } from "../payment.ts";
import { refundability } from "../refunds/refundability.ts";
import type { PayoutDeps } from "./payout-execution.ts";

function toSaleMessage(
  payment: PaymentFields,
  at: { now: number; holdDays: number },
): MessageInitShape<typeof SaleSchema> {
  const { postings, order } = payment;
  const { currency } = order;
  const available = availableTime(payment, at.holdDays);
  const sellersRefund = refundability(payment, "SELLER", at);
  return {
    payment: toSellerMessage(payment),
    fee: toMoney({ amount: feesOf(postings), currency }),
    earned: toMoney({ amount: owedToSeller(postings), currency }),
    ...(available && { availableTime: timestampFromDate(available) }),
    ...(sellersRefund.until && { refundableUntil: sellersRefund.until }),
    refundability: sellersRefund,
  };
}

/** A page of a seller's sales: captured payments, the newest first. */
export async function listSales(
  { payments, now, holdDays }: PayoutDeps,
  sellerId: string,
  { pageSize: requestedSize, pageToken }: ListSalesRequest,
): Promise<MessageInitShape<typeof ListSalesResponseSchema>> {
  const query = ["sales", sellerId];
  const cursor = readPageToken(query, pageToken);
  const size = pageSize(requestedSize);
  const sold = { "order.sellerId": sellerId, ...WAS_CAPTURED };
  const older = cursor && afterCursor("captureTime", -1, new Date(cursor.key), cursor.id);
  const found = await payments
    .find(older ? { $and: [sold, older] } : sold, { outbox: 0 })
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
  return { sales: page.map((sale) => toSaleMessage(sale, at)), nextPageToken };
}
