import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  DisputeStatus,
  PaymentSchema,
  PaymentStatus,
  RefundabilitySchema,
  RefundStatus,
} from "@ticketing/proto/web/payments/v1/payment";
import { describe, expect, it } from "vitest";
import { isRefundable, isRefunding, saleStatusLabel } from "./payment-status.ts";

const NOW = Date.UTC(2027, 5, 4, 20);
const minutesAgo = (minutes: number) => timestampFromMs(NOW - minutes * 60_000);

const paid = (change: object = {}) =>
  create(PaymentSchema, {
    status: PaymentStatus.CAPTURED,
    captureTime: minutesAgo(5),
    ...change,
  });
const refund = (status: RefundStatus) => ({ refunds: [{ id: "r", status }] });

describe("a refund button", () => {
  const amount = { currencyCode: "EUR", units: 20n };
  const may = (init: object) => isRefundable(create(RefundabilitySchema, init), NOW);

  it("is offered when the service would refund, until its deadline", () => {
    expect(may({ amount })).toBe(true);
    expect(may({ amount, until: timestampFromMs(NOW + 1) })).toBe(true);
    expect(may({ amount, until: timestampFromMs(NOW) })).toBe(false);
  });

  it("is not offered when the service would refuse or is unavailable", () => {
    expect(may({ refused: "CODE_OPENED", until: timestampFromMs(NOW + 1) })).toBe(false);
    expect(isRefundable(undefined, NOW)).toBe(false);
  });
});

describe("a refund", () => {
  it.each([
    [RefundStatus.REQUESTED, true],
    [RefundStatus.PENDING, true],
    [RefundStatus.SUCCEEDED, false],
    [RefundStatus.REFUSED, false],
    [RefundStatus.FAILED, false],
  ])("with status %s is in progress: %s", (status, inProgress) => {
    expect(isRefunding(paid(refund(status)))).toBe(inProgress);
  });
});

describe("a sale", () => {
  it("shows its status, and a dispute first", () => {
    expect(saleStatusLabel(paid())).toBe("Sold");
    expect(saleStatusLabel(paid({ status: PaymentStatus.REFUNDED }))).toContain("Refunded");
    expect(
      saleStatusLabel(
        paid({ status: PaymentStatus.PARTLY_REFUNDED, disputeStatus: DisputeStatus.LOST }),
      ),
    ).toContain("bank");
  });
});
