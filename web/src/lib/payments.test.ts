import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  DisputeStatus,
  PaymentSchema,
  PaymentStatus,
  RefundStatus,
} from "@ticketing/proto/web/payments/v1/payment";
import { SaleSchema } from "@ticketing/proto/web/payments/v1/seller_service";
import { describe, expect, it } from "vitest";
import { canBeGivenBack, canBeRefunded, isRefunding, saleStatus } from "./payments.ts";

const NOW = Date.UTC(2027, 5, 4, 20);
const minutesAgo = (minutes: number) => timestampFromMs(NOW - minutes * 60_000);

const paid = (change: object = {}) =>
  create(PaymentSchema, {
    status: PaymentStatus.CAPTURED,
    captureTime: minutesAgo(5),
    ...change,
  });
const refund = (status: RefundStatus) => ({ refunds: [{ id: "r", status }] });

describe("giving a ticket back", () => {
  it("is offered for half an hour after paying", () => {
    expect(canBeGivenBack(paid(), NOW)).toBe(true);
    expect(canBeGivenBack(paid({ captureTime: minutesAgo(29.9) }), NOW)).toBe(true);
    expect(canBeGivenBack(paid({ captureTime: minutesAgo(30) }), NOW)).toBe(false);
  });

  it.each([
    ["what is not paid", { status: PaymentStatus.AUTHORIZED, captureTime: undefined }],
    ["what was opened", { codeOpenTime: minutesAgo(1) }],
    ["what is given back", { status: PaymentStatus.REFUNDED }],
    ["what was asked back", refund(RefundStatus.REQUESTED)],
    ["what was refused", refund(RefundStatus.REFUSED)],
    ["what the bank asks back", { disputeStatus: DisputeStatus.OPEN }],
  ])("is not offered for %s", (_, change) => {
    expect(canBeGivenBack(paid(change), NOW)).toBe(false);
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
  const sale = (payment: object, until?: number) =>
    create(SaleSchema, {
      payment: paid(payment),
      ...(until === undefined ? {} : { refundableUntil: timestampFromMs(until) }),
    });

  it("can be given back until its event begins, or at any time without a date", () => {
    expect(canBeRefunded(sale({}), NOW)).toBe(true);
    expect(canBeRefunded(sale({}, NOW + 1), NOW)).toBe(true);
    expect(canBeRefunded(sale({}, NOW), NOW)).toBe(false);
    expect(canBeRefunded(sale({ status: PaymentStatus.PARTLY_REFUNDED }), NOW)).toBe(true);
  });

  it("cannot be given back twice, nor over the bank's head", () => {
    expect(canBeRefunded(sale({ status: PaymentStatus.REFUNDED }), NOW)).toBe(false);
    expect(canBeRefunded(sale({ disputeStatus: DisputeStatus.OPEN }), NOW)).toBe(false);
  });

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
