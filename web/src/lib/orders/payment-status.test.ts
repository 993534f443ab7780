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
import { isRefundable, isRefunding, saleStatus } from "./payment-status.ts";

const NOW = Date.UTC(2027, 5, 4, 20);
const minutesAgo = (minutes: number) => timestampFromMs(NOW - minutes * 60_000);

const paid = (change: object = {}) =>
  create(PaymentSchema, {
    status: PaymentStatus.CAPTURED,
    captureTime: minutesAgo(5),
    ...change,
  });
const refund = (status: RefundStatus) => ({ refunds: [{ id: "r", status }] });

describe("giving money back", () => {
  const amount = { currencyCode: "EUR", units: 20n };
  const may = (init: object) => isRefundable(create(RefundabilitySchema, init), NOW);

  it("is offered where the service would do it, until the time that it names", () => {
    expect(may({ amount })).toBe(true);
    expect(may({ amount, until: timestampFromMs(NOW + 1) })).toBe(true);
    expect(may({ amount, until: timestampFromMs(NOW) })).toBe(false);
  });

  it("is not offered where the service would refuse, or has not said", () => {
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
  ])("in status %s is under way: %s", (status, underWay) => {
    expect(isRefunding(paid(refund(status)))).toBe(underWay);
  });
});

describe("a sale", () => {
  it("says how it stands, the bank's word first", () => {
    expect(saleStatus(paid())).toBe("Sold");
    expect(saleStatus(paid({ status: PaymentStatus.REFUNDED }))).toContain("Given back");
    expect(
      saleStatus(
        paid({ status: PaymentStatus.PARTLY_REFUNDED, disputeStatus: DisputeStatus.LOST }),
      ),
    ).toContain("bank");
  });
});
