import { expect, it } from "vitest";
import { update } from "#runtime/store/aggregate.ts";
import { findEvent, isOneEvent, refundAll, sumOf } from "./event-refunds.ts";
import { requestRefund } from "./refund.ts";
import { money } from "../testing/payouts-fixture.ts";

const title = "Rock am Ring";
const venue = "Nürburgring";

it("finds what is left of an event's payments, by its title, venue and time, and nothing else", async () => {
  const all = await money();
  const here = { title, venue, eventDaysAgo: -3 };
  const whole = await all.sell(here);
  const { eventTime: time } = (await all.payments.findById(whole).orFail()).order;
  const at = { title, venue, eventTime: time };
  const partly = await all.sell({ ...at, title: "ROCK am ring", currency: "JPY", price: 999 });
  await all.refund(partly, 99);
  // Of the same name, elsewhere; here, another day; of nowhere; of an order that did not say.
  for (const other of ["Arena", "", undefined]) await all.sell({ ...at, venue: other });
  await all.sell({ ...here, eventDaysAgo: -4 });
  await all.sell({ title, venue });
  for (const other of ["Rock am Ringe", "Rock am Rin", "Röck am Ring", "Rock.am.Ring"])
    await all.sell({ ...at, title: other });
  await all.refund(await all.sell(at), 10_000);
  await all.dispute(await all.sell(at));
  const begun = await all.sell(at);
  await update(all.payments, begun, (payment) =>
    requestRefund(payment, { reason: "ADMINISTRATOR", amount: 1 }),
  );

  const event = { title: "rock AM ring", venue: "nürburgring", time };
  const found = await findEvent(all.payments, event);
  expect(found).toMatchObject({ inProgress: 1, disputed: 1 });
  expect(found.refundable.map(({ orderId }) => orderId).sort()).toEqual([whole, partly].sort());
  expect(sumOf(found.refundable)).toEqual({
    payments: 2,
    amounts: new Map([
      ["EUR", 10_000],
      ["JPY", 900],
    ]),
  });
});

it("finds tickets by their ids, whatever is written on them, and no other", async () => {
  const all = await money();
  const orderIds = [await all.sell({ title }), await all.sell({ title: "Something else" })];
  await all.sell({ title });
  const sold = await all.payments.find({ _id: { $in: orderIds } });
  const ticketIds = sold.map(({ order }) => order.ticketId);
  const { refundable } = await findEvent(all.payments, { ticketIds });
  expect(refundable.map(({ orderId }) => orderId).sort()).toEqual(orderIds.sort());
});

it("takes nothing less than title, venue and time together for one event", () => {
  const time = new Date();
  expect(isOneEvent({ title, venue, time })).toBe(true);
  expect(isOneEvent({ ticketIds: ["1"] })).toBe(true);
  for (const less of [{ title }, { title, venue }, { title, time }])
    expect(isOneEvent(less)).toBe(false);
});

it("decides each refund once, however often and by how many it is done", async () => {
  const all = await money();
  for (let i = 0; i < 3; i += 1) await all.sell({ title: "Off" });
  await all.sell({ title: "Off", currency: "JPY", price: 999 });
  const { refundable } = await findEvent(all.payments, { title: "Off" });
  const ids = refundable.map(({ orderId }) => orderId);
  const sums = await Promise.all([refundAll(all.payments, ids), refundAll(all.payments, ids)]);
  expect(sums[0].payments + sums[1].payments).toBe(4);
  expect(await refundAll(all.payments, ids)).toEqual({ payments: 0, amounts: new Map() });
  const wanted = { reason: "EVENT_CANCELLED", status: "PENDING" };
  for (const payment of await all.payments.find()) {
    expect(payment.refunds).toMatchObject([{ ...wanted, amount: payment.order.price }]);
  }
  const later = await findEvent(all.payments, { title: "Off" });
  expect(later).toMatchObject({ refundable: [], inProgress: 4 });
});
