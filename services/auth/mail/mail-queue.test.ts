import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { create, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import { OrderCompletedSchema } from "@ticketing/proto/orders/v1/order_events";
import { RefundReason, RefundStatus } from "@ticketing/proto/payments/v1/payment";
import {
  ChargeFailedSchema,
  ChargeRefundedSchema,
} from "@ticketing/proto/payments/v1/payment_events";
import { describe, expect, it, onTestFinished } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { recordedLog } from "#runtime/testing/log.ts";
import { testDatabase } from "#runtime/testing/database.ts";
import { openMailbox, serveSmtp } from "#stack/mailbox";
import { freePort } from "#stack/process";
import { tradeEmailHandlers } from "../events.ts";
import { linkTokens } from "./link-tokens.ts";
import { smtpMailer, type Mailer } from "./smtp-mailer.ts";
import { mailModel } from "./mail.ts";
import { createMailQueue } from "./mail-queue.ts";
import { register } from "../sign-in/sign-up.ts";
import { userModel } from "../user.ts";

const FROM = "Ticketing <no-reply@shop.test>";

/** A mail queue with a real mail server, which is down until `open` starts it. */
async function mailQueueFixture() {
  const db = await testDatabase();
  const [users, storedMails] = [userModel(db), mailModel(db)];
  await buildIndexes(users, storedMails);
  const dir = await mkdtemp(join(tmpdir(), "mailbox-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const mailbox = openMailbox(dir);
  const port = await freePort();
  const { log, lines } = recordedLog();
  const links = linkTokens("a key", Date.now);

  function start(mailer: Mailer = smtpMailer(`smtp://127.0.0.1:${port}`, FROM)) {
    const mailQueue = createMailQueue({
      mails: storedMails,
      users,
      mailer,
      links,
      log,
      publicUrl: "http://shop.test",
      mayNotify: async () => true,
    });
    onTestFinished(() => mailQueue.close());
    return mailQueue;
  }
  async function member(email: string) {
    const user = new users({ email, emailKey: email, passwordHash: "a hash" });
    register(user);
    await user.save();
    return user;
  }
  const open = () => serveSmtp(mailbox, { host: "127.0.0.1", port });
  return { users, storedMails, mailbox, lines, start, member, open };
}

describe("an email", () => {
  it("is sent over SMTP to its receiver with its link, and then deleted", async () => {
    const { storedMails, mailbox, lines, start, member, open } = await mailQueueFixture();
    await open();
    await member("ann@example.com");
    await start().enqueue("reset", "ann@example.com");
    const [mail] = await eventually(() => mailbox.all().length > 0 && mailbox.all(), "the mail");
    expect(mail).toMatchObject({ to: ["ann@example.com"], subject: "Set a new password" });
    expect(mail?.text).toMatch(/http:\/\/shop\.test\/reset-password\?token=\S+/);
    await eventually(async () => (await storedMails.countDocuments()) === 0, "its deletion");
    const token = /token=(\S+)/.exec(mail?.text ?? "")?.[1] ?? "";
    expect(JSON.stringify(lines)).not.toContain(token);
    expect(JSON.stringify(lines)).not.toContain("ann@example.com");
  });

  it("waits without its link while the mail server is down, and the next instance sends it", async () => {
    const { storedMails, mailbox, lines, start, member, open } = await mailQueueFixture();
    await member("ann@example.com");
    const first = start();
    await first.enqueue("reset", "ann@example.com");
    await eventually(
      () => lines.some(({ msg }) => msg === "email not sent; it is retried"),
      "a failure",
    );
    await first.close();
    expect(JSON.stringify(await storedMails.find().lean())).not.toContain("token");
    await open();
    const second = start();
    const isSent = async () => (await second.sweep(), mailbox.all().length === 1);
    await eventually(isSent, "the mail");
  });

  it("is sent once when three instances find it at the same time", async () => {
    const { storedMails, mailbox, start, open } = await mailQueueFixture();
    await open();
    const createTime = new Date();
    const many = Array.from({ length: 30 }, () => ({ _id: newId(), cause: "password" as const }));
    await storedMails.create(
      many.map((one) => ({ ...one, to: "ann@example.com", createTime, takenUntil: new Date(0) })),
    );
    await Promise.all([start(), start(), start()].map((mailQueue) => mailQueue.sweep()));
    await eventually(async () => (await storedMails.countDocuments()) === 0, "all to be sent");
    expect(mailbox.all()).toHaveLength(many.length);
  });

  it("that a crashed instance had claimed is sent by another a minute later", async () => {
    const { storedMails, mailbox, start, open } = await mailQueueFixture();
    await open();
    const about = { cause: "password" as const, to: "ann@example.com", createTime: new Date() };
    await storedMails.create({ _id: newId(), ...about, takenUntil: new Date(Date.now() + 60_000) });
    const mailQueue = start();
    await mailQueue.sweep();
    expect(mailbox.all()).toEqual([]);
    await storedMails.updateMany({}, { $set: { takenUntil: new Date(Date.now() - 1) } });
    await mailQueue.sweep();
    await eventually(() => mailbox.all().length === 1, "the mail");
  });
});

describe("an email about a trade", () => {
  const price = { currencyCode: "EUR", units: 25n, nanos: 500_000_000 };

  /** A buyer, a seller, and the events of their trade. */
  async function tradeFixture() {
    const all = await mailQueueFixture();
    await all.open();
    const [buyer, seller] = [
      await all.member("ann@example.com"),
      await all.member("sam@example.com"),
    ];
    const mailQueue = all.start();
    const handlers = new Map(tradeEmailHandlers(mailQueue).map((each) => [each.type, each]));
    const people = { userId: buyer._id, sellerId: seller._id, title: "Front row" };
    async function hear<D extends DescMessage>(schema: D, event: MessageInitShape<D>) {
      await handlers.get(schema.typeName)?.handle(create(schema, event));
    }
    const order = { ...people, id: newId(), price };
    const refund = (id: string, units: bigint, reason: RefundReason = RefundReason.SELLER) => ({
      id,
      reason,
      status: RefundStatus.SUCCEEDED,
      amount: { currencyCode: "EUR", units },
    });
    const refunded = (refunds: ReturnType<typeof refund>[]) =>
      hear(ChargeRefundedSchema, {
        payment: { ...people, orderId: order.id, amount: price, refunds },
      });
    const completed = () => hear(OrderCompletedSchema, { order });
    const mails = () => all.mailbox.all().map(({ to, subject }) => `${to[0]}: ${subject}`);
    const allSent = () =>
      eventually(
        async () => (await all.storedMails.countDocuments({ sentTime: null })) === 0,
        "the mails",
      );
    return { ...all, mailQueue, people, hear, order, refund, refunded, completed, mails, allSent };
  }

  it("is sent once to the buyer and the seller when its event is redelivered", async () => {
    const { completed, allSent, mails, mailbox, order, storedMails } = await tradeFixture();
    await Promise.all([completed(), completed()]);
    await allSent();
    await completed(); // Redelivered much later.
    await allSent();
    expect(mails().toSorted()).toEqual([
      "ann@example.com: Your ticket: Front row",
      "sam@example.com: Sold: Front row",
    ]);
    const [bought] = mailbox.all().filter(({ to }) => to[0] === "ann@example.com");
    expect(bought?.text).toContain("25.50 EUR");
    expect(bought?.text).toContain(`http://shop.test/orders/${order.id}`);
    expect(JSON.stringify(await storedMails.find().lean())).not.toContain("@example.com");
  });

  it("tells only the buyer about a declined payment", async () => {
    const { people, hear, order, allSent, mails } = await tradeFixture();
    const payment = { ...people, orderId: order.id, attemptId: newId(), amount: price };
    await hear(ChargeFailedSchema, { payment });
    await allSent();
    expect(mails()).toEqual(["ann@example.com: Payment declined: Front row"]);
  });

  it("states the amount of each refund, in whatever order the events arrive", async () => {
    const { refund, refunded, allSent, mailbox } = await tradeFixture();
    const [first, second] = [refund("one", 5n), refund("two", 7n)];
    await refunded([first, second]);
    await refunded([first]);
    await allSent();
    const amounts = mailbox
      .all()
      .map(({ to, text }) => `${to[0]} ${/\d+\.\d\d EUR/.exec(text)?.[0]}`);
    expect(amounts.toSorted()).toEqual([
      "ann@example.com 5.00 EUR",
      "ann@example.com 7.00 EUR",
      "sam@example.com 5.00 EUR",
      "sam@example.com 7.00 EUR",
    ]);
  });

  it("is not repeated by a later refund after its record has expired", async () => {
    const { refund, refunded, allSent, mailbox } = await tradeFixture();
    const old = { ...refund("old", 5n), updateTime: timestampFromMs(Date.now() - 40 * 86_400_000) };
    await refunded([old, refund("new", 7n)]);
    await allSent();
    expect(mailbox.all().filter(({ text }) => text.includes("5.00 EUR"))).toEqual([]);
    expect(mailbox.all()).toHaveLength(2);
  });

  it("does not tell the seller about a refund of an order that never became a sale", async () => {
    const { refund, refunded, allSent, mails } = await tradeFixture();
    await refunded([refund("late", 25n, RefundReason.ORDER_ENDED)]);
    await allSent();
    expect(mails()).toEqual(["ann@example.com: Refund: Front row"]);
  });

  it("is sent to the current address, and not to a deleted account", async () => {
    const { users, people, completed, allSent, mails } = await tradeFixture();
    await users.updateOne({ _id: people.userId }, { $set: { email: "new@example.com" } });
    await users.updateOne({ _id: people.sellerId }, { $set: { status: "DELETED" } });
    await completed();
    await allSent();
    expect(mails()).toEqual(["new@example.com: Your ticket: Front row"]);
  });
});
