import { createConnection } from "mongoose";
import { expect, it } from "vitest";
import { recordDispute } from "./dispute.ts";
import { heldAtStripe, salePosting } from "../ledger.ts";
import { paymentModel } from "../payment-model.ts";
import { type Payment } from "../payment.ts";
import { isDisputed } from "./refund-state.ts";

const payments = paymentModel(createConnection()); // Nothing is stored in this test.

/** A captured payment of 25.50. */
const taken = (): Payment =>
  new payments({
    _id: "order",
    order: { price: 2550 },
    fee: 128,
    postings: [salePosting("attempt", new Date(0), 2550, 128)],
  });

it.each<[recordedEvents: string[], status: string, held: number]>([
  [["needs_response"], "OPEN", 0],
  [["needs_response", "under_review"], "OPEN", 0],
  [["needs_response", "lost"], "LOST", 0],
  [["needs_response", "won"], "WON", 2550],
  [["lost"], "LOST", 0],
  [["won"], "WON", 2550],
  // The bank only inquires: no money moves.
  [["warning_needs_response"], "OPEN", 2550],
  [["warning_needs_response", "warning_under_review", "warning_closed"], "WON", 2550],
  [["warning_needs_response", "needs_response"], "OPEN", 0],
  [["warning_needs_response", "needs_response", "won"], "WON", 2550],
  [["prevented"], "WON", 2550],
  // An older response of Stripe arrives late.
  [["needs_response", "won", "needs_response"], "WON", 2550],
  [["lost", "under_review"], "LOST", 0],
  [["won", "needs_response"], "WON", 2550],
  [["needs_response", "lost", "appeal_under_review"], "LOST", 0],
  [["needs_response", "lost", "won"], "WON", 2550],
])(
  "after the dispute statuses %j, the stored status is %s and Stripe holds %i",
  (recordedEvents, status, held) => {
    const payment = taken();
    for (const said of recordedEvents) {
      const dispute = { id: "dp_1", amount: 2550, status: said };
      recordDispute(payment, dispute);
      const { version } = payment;
      expect(recordDispute(payment, dispute)).toBe(false); // A repeated status changes nothing.
      expect(payment.version).toBe(version);
    }
    expect(payment.dispute?.status).toBe(status);
    expect(heldAtStripe(payment.postings)).toBe(held);
  },
);

it("an inquiry moves no money, so the payment can be refunded", () => {
  const payment = taken();
  recordDispute(payment, { id: "dp_1", amount: 2550, status: "warning_needs_response" });
  expect(isDisputed(payment)).toBe(false);
  recordDispute(payment, { id: "dp_1", amount: 2550, status: "needs_response" });
  expect(isDisputed(payment)).toBe(true);
});

it("each of several disputes takes its own amount, and returns it", () => {
  const payment = taken();
  const hear = (status1: string, status2: string) => {
    recordDispute(payment, { id: "dp_1", amount: 1000, status: status1 }, false);
    recordDispute(payment, { id: "dp_2", amount: 500, status: status2 }, true);
    return heldAtStripe(payment.postings);
  };
  expect(hear("needs_response", "needs_response")).toBe(1050);
  expect(hear("won", "needs_response")).toBe(2050);
  expect(payment.dispute).toMatchObject({ _id: "dp_2", status: "OPEN" });
  expect(hear("won", "won")).toBe(2550);
  expect(isDisputed(payment)).toBe(false);
});
