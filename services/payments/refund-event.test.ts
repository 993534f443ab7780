import { expect, it } from "vitest";
import { findEvent, refundAll } from "./refund-event.ts";
import { requestRefund } from "./refund.ts";
import { update } from "#runtime/aggregate.ts";
import { money } from "./testing-payouts.ts";

it("finds what is left of an event's payments, by its title and time, and nothing else", async () => {
  const all = await money();
  const whole = await all.sell({ title: "Rock am Ring", eventDaysAgo: -3 });
  const partly = await all.sell({ title: "ROCK am ring", currency: "JPY", price: 999 });
  await all.refund(partly, 99);
  const others = ["Rock am Ringe", "Rock am Rin", "Röck am Ring", "Rock.am.Ring"];
  for (const title of others) await all.sell({ title });
  await all.refund(await all.sell({ title: "Rock am Ring" }), 10_000);
  await all.dispute(await all.sell({ title: "Rock am Ring" }));
  const begun = await all.sell({ title: "Rock am Ring" });
  await update(all.payments, begun, (payment) =>
    requestRefund(payment, { reason: "ADMINISTRATOR", amount: 1 }),
  );

  const found = await findEvent(all.payments, { title: "rock AM ring" });
  expect(found).toMatchObject({ inProgress: 1, disputed: 1 });
  expect(found.ids.sort()).toEqual([whole, partly].sort());
  const time = (await all.payments.findById(whole).orFail()).order.eventTime;
  expect([...found.dates]).toEqual([
    [time?.toISOString(), { payments: 1, amounts: new Map([["EUR", 10_000]]) }],
    ["no date", { payments: 1, amounts: new Map([["JPY", 900]]) }],
  ]);
  const { ids } = await findEvent(all.payments, { title: "Rock am Ring", time });
  expect(ids).toEqual([whole]);
  const later = new Date((time?.getTime() ?? 0) + 1);
  expect((await findEvent(all.payments, { title: "Rock am Ring", time: later })).ids).toEqual([]);
});

it("decides each refund once, however often and by how many it is done", async () => {
  const all = await money();
  for (let i = 0; i < 3; i += 1) await all.sell({ title: "Off" });
  await all.sell({ title: "Off", currency: "JPY", price: 999 });
  const { ids } = await findEvent(all.payments, { title: "Off" });
  const sums = await Promise.all([refundAll(all.payments, ids), refundAll(all.payments, ids)]);
  expect(sums[0].payments + sums[1].payments).toBe(4);
  expect(await refundAll(all.payments, ids)).toEqual({ payments: 0, amounts: new Map() });
  const wanted = { reason: "EVENT_CANCELLED", status: "PENDING" };
  for (const payment of await all.payments.find()) {
    expect(payment.refunds).toMatchObject([{ ...wanted, amount: payment.order.price }]);
  }
  expect(await findEvent(all.payments, { title: "Off" })).toMatchObject({ ids: [], inProgress: 4 });
});
