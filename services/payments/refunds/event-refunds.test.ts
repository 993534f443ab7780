import { expect, it } from "vitest";
import { update } from "#runtime/store/aggregate.ts";
import { findEventRefunds, namesOneEvent, requestEventRefunds, totalOf } from "./event-refunds.ts";
import { requestRefund } from "./refund.ts";
import { payoutsFixture } from "../testing/payouts-fixture.ts";

const title = "Rock am Ring";
const venue = "Nürburgring";

it("finds the refundable payments of an event by its title, venue and time, and no others", async () => {
  const fixture = await payoutsFixture();
  const here = { title, venue, eventDaysAgo: -3 };
  const whole = await fixture.sell(here);
  const { eventTime: time } = (await fixture.payments.findById(whole).orFail()).order;
  const at = { title, venue, eventTime: time };
  const partly = await fixture.sell({ ...at, title: "ROCK am ring", currency: "JPY", price: 999 });
  await fixture.refund(partly, 99);
  // The same title at another venue, without a venue, on another day, and without a date.
  for (const other of ["Arena", "", undefined]) await fixture.sell({ ...at, venue: other });
  await fixture.sell({ ...here, eventDaysAgo: -4 });
  await fixture.sell({ title, venue });
  for (const other of ["Rock am Ringe", "Rock am Rin", "Röck am Ring", "Rock.am.Ring"])
    await fixture.sell({ ...at, title: other });
  await fixture.refund(await fixture.sell(at), 10_000);
  await fixture.dispute(await fixture.sell(at));
  const begun = await fixture.sell(at);
  await update(fixture.payments, begun, (payment) =>
    requestRefund(payment, { reason: "ADMINISTRATOR", amount: 1 }),
  );

  const event = { title: "rock AM ring", venue: "nürburgring", time };
  const found = await findEventRefunds(fixture.payments, event);
  expect(found).toMatchObject({ inProgress: 1, disputed: 1 });
  expect(found.refundable.map(({ orderId }) => orderId).sort()).toEqual([whole, partly].sort());
  expect(totalOf(found.refundable)).toEqual({
    payments: 2,
    amounts: new Map([
      ["EUR", 10_000],
      ["JPY", 900],
    ]),
  });
});

it("finds tickets by their ids, independent of their text, and no others", async () => {
  const fixture = await payoutsFixture();
  const orderIds = [await fixture.sell({ title }), await fixture.sell({ title: "Something else" })];
  await fixture.sell({ title });
  const sold = await fixture.payments.find({ _id: { $in: orderIds } });
  const ticketIds = sold.map(({ order }) => order.ticketId);
  const { refundable } = await findEventRefunds(fixture.payments, { ticketIds });
  expect(refundable.map(({ orderId }) => orderId).sort()).toEqual(orderIds.sort());
});

it("identifies one event only by title, venue and time together", () => {
  const time = new Date();
  expect(namesOneEvent({ title, venue, time })).toBe(true);
  expect(namesOneEvent({ ticketIds: ["1"] })).toBe(true);
  for (const less of [{ title }, { title, venue }, { title, time }])
    expect(namesOneEvent(less)).toBe(false);
});

it("requests each refund once, however often and by however many processes it runs", async () => {
  const fixture = await payoutsFixture();
  for (let i = 0; i < 3; i += 1) await fixture.sell({ title: "Off" });
  await fixture.sell({ title: "Off", currency: "JPY", price: 999 });
  const { refundable } = await findEventRefunds(fixture.payments, { title: "Off" });
  const ids = refundable.map(({ orderId }) => orderId);
  const sums = await Promise.all([
    requestEventRefunds(fixture.payments, ids),
    requestEventRefunds(fixture.payments, ids),
  ]);
  expect(sums[0].payments + sums[1].payments).toBe(4);
  expect(await requestEventRefunds(fixture.payments, ids)).toEqual({
    payments: 0,
    amounts: new Map(),
  });
  const wanted = { reason: "EVENT_CANCELLED", status: "PENDING" };
  for (const payment of await fixture.payments.find()) {
    expect(payment.refunds).toMatchObject([{ ...wanted, amount: payment.order.price }]);
  }
  const later = await findEventRefunds(fixture.payments, { title: "Off" });
  expect(later).toMatchObject({ refundable: [], inProgress: 4 });
});
