import type { MessageInitShape } from "@bufbuild/protobuf";
import type {
  ListPayoutsRequest,
  ListPayoutsResponseSchema,
} from "@ticketing/proto/payments/v1/seller_service";
import { afterCursor, pageSize, readPageToken, toPage } from "#runtime/store/paging.ts";
import type { Payout } from "../payout.ts";
import type { PayoutDeps } from "./payout-execution.ts";
import { toPayoutMessage } from "./payout-message.ts";

/** A page of a seller's payouts, the newest first. */
export async function listPayouts(
  { payouts }: PayoutDeps,
  sellerId: string,
  { pageSize: requestedSize, pageToken }: ListPayoutsRequest,
): Promise<MessageInitShape<typeof ListPayoutsResponseSchema>> {
  const query = ["payouts", sellerId];
  const cursor = readPageToken(query, pageToken);
  const size = pageSize(requestedSize);
  const older = cursor && afterCursor("createTime", -1, new Date(cursor.key), cursor.id);
  const found = await payouts
    .find({ sellerId, ...older })
    .sort({ createTime: -1, _id: -1 })
    .limit(size + 1)
    .lean<Payout[]>();
  const { page, nextPageToken } = toPage(query, size, found, ({ createTime }) =>
    createTime.getTime(),
  );
  return { payouts: page.map(toPayoutMessage), nextPageToken };
}
