import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type PayoutSchema, PayoutStatus } from "@ticketing/proto/payments/v1/seller_service";
import { toMoney } from "#runtime/values/money.ts";
import type { Payout } from "../payout.ts";

export const toPayoutMessage = (payout: Payout): MessageInitShape<typeof PayoutSchema> => ({
  id: payout._id,
  amount: toMoney(payout),
  status: PayoutStatus[payout.status],
  createTime: timestampFromDate(payout.createTime),
  updateTime: timestampFromDate(payout.updateTime),
  accountId: payout.accountId,
  transferId: payout.transferId ?? "",
  failureCode: payout.failureCode ?? "",
  ...(payout.sentTime && { sentTime: timestampFromDate(payout.sentTime) }),
});
