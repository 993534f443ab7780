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
import { letterEvents } from "../events.ts";
import { linkTokens } from "./link-tokens.ts";
import { smtpMailer, type Mailer } from "./mailer.ts";
import { postModel } from "./mail-store.ts";
import { startPost } from "./mail-queue.ts";
import { enrol, userModel } from "../user.ts";

const FROM = "Ticketing <no-reply@shop.test>";

/** A post office with a real mail server that may not be there yet. */
async function office() {
  const db = await testDatabase();
  const [users, posts] = [userModel(db), postModel(db)];
  await buildIndexes(users, posts);
  const dir = await mkdtemp(join(tmpdir(), "mailbox-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const mailbox = openMailbox(dir);
  const port = await freePort();
  const { log, lines } = recordedLog();
  const links = linkTokens("a key", Date.now);

  function start(mailer: Mailer = smtpMailer(`smtp://127.0.0.1:${port}`, FROM)) {
    const post = startPost({
      posts,
      users,
      mailer,
      links,
      log,
      publicUrl: "http://shop.test",
      mayNotify: async () => true,
    });
    onTestFinished(() => post.close());
    return post;
  }
  async function member(email: string) {
    const user = new users({ email, emailKey: email, passwordHash: "a hash" });
    enrol(user);
    await user.save();
    return user;
  }
  const open = () => serveSmtp(mailbox, { host: "127.0.0.1", port });
  return { users, posts, mailbox, lines, start, member, open };
}

describe("a mail", () => {
  it("goes over SMTP to its receiver alone, with its link, and is forgotten", async () => {
    const { posts, mailbox, lines, start, member, open } = await office();
    await open();
    await member("ann@example.com");
    await start().send("reset", "ann@example.com");
    const [mail] = await eventually(() => mailbox.all().length > 0 && mailbox.all(), "the mail");
    expect(mail).toMatchObject({ to: ["ann@example.com"], subject: "Set a new password" });
    expect(mail?.text).toMatch(/http:\/\/shop\.test\/reset-password\?token=\S+/);
    await eventually(async () => (await posts.countDocuments()) === 0, "it to be forgotten");
    const token = /token=(\S+)/.exec(mail?.text ?? "")?.[1] ?? "";
    expect(JSON.stringify(lines)).not.toContain(token);
    expect(JSON.stringify(lines)).not.toContain("ann@example.com");
  });

  it("waits without its link while the mail server is away, and is sent by whoever starts next", async () => {
    const { posts, mailbox, lines, start, member, open } = await office();
    await member("ann@example.com");
    const first = start();
    await first.send("reset", "ann@example.com");
    await eventually(() => lines.some(({ msg }) => msg === "mail not sent yet"), "a failure");
    await first.close();
    expect(JSON.stringify(await posts.find().lean())).not.toContain("token");
    await open();
    const second = start();
    const isSent = async () => (await second.sweep(), mailbox.all().length === 1);
    await eventually(isSent, "the mail");
  });

  it("is sent once, though two instances find it at the same time", async () => {
    const { posts, mailbox, start, open } = await office();
    await open();
    const createTime = new Date();
    const many = Array.from({ length: 30 }, () => ({ _id: newId(), cause: "password" as const }));
    await posts.create(
      many.map((one) => ({ ...one, to: "ann@example.com", createTime, takenUntil: new Date(0) })),
    );
    await Promise.all([start(), start(), start()].map((post) => post.sweep()));
    await eventually(async () => (await posts.countDocuments()) === 0, "all to be sent");
    expect(mailbox.all()).toHaveLength(many.length);
  });

  it("that an instance took with it is sent by another, a minute later", async () => {
    const { posts, mailbox, start, open } = await office();
    await open();
    const about = { cause: "password" as const, to: "ann@example.com", createTime: new Date() };
    await posts.create({ _id: newId(), ...about, takenUntil: new Date(Date.now() + 60_000) });
    const post = start();
    await post.sweep();
    expect(mailbox.all()).toEqual([]);
    await posts.updateMany({}, { $set: { takenUntil: new Date(Date.now() - 1) } });
    await post.sweep();
    await eventually(() => mailbox.all().length === 1, "the mail");
  });
});

describe("a letter about a trade", () => {
  const price = { currencyCode: "EUR", units: 25n, nanos: 500_000_000 };

  /** What a trade is heard of: sold by one, bought by the other. */
  async function traders() {
    const all = await office();
    await all.open();
    const [buyer, seller] = [
      await all.member("ann@example.com"),
      await all.member("sam@example.com"),
    ];
    const post = all.start();
    const handlers = new Map(letterEvents(post).map((each) => [each.type, each]));
    const people = { userId: buyer._id, sellerId: seller._id, title: "Front row" };
    async function hear<D extends DescMessage>(schema: D, event: MessageInitShape<D>) {
      await handlers.get(schema.typeName)?.handle(create(schema, event));
    }
    const order = { ...people, id: newId(), price };
    const refund = (id: string, units: bigint, reason: RefundReason = RefundReason.SELLER) => ({
      ...{ id, reason, status: RefundStatus.SUCCEEDED },
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
        async () => (await all.posts.countDocuments({ sentTime: null })) === 0,
        "the mails",
      );
    return { ...all, post, people, hear, order, refund, refunded, completed, mails, allSent };
  }

  it("goes to the buyer and to the seller, once, however often it is heard of", async () => {
    const { completed, allSent, mails, mailbox, order, posts } = await traders();
    await Promise.all([completed(), completed()]);
    await allSent();
    await completed(); // Again, long after.
    await allSent();
    expect(mails().toSorted()).toEqual([
      "ann@example.com: Your ticket: Front row",
      "sam@example.com: Sold: Front row",
    ]);
    const [bought] = mailbox.all().filter(({ to }) => to[0] === "ann@example.com");
    expect(bought?.text).toContain("25.50 EUR");
    expect(bought?.text).toContain(`http://shop.test/orders/${order.id}`);
    expect(JSON.stringify(await posts.find().lean())).not.toContain("@example.com");
  });

  it("tells the buyer of a refused payment, and the seller nothing", async () => {
    const { people, hear, order, allSent, mails } = await traders();
    const payment = { ...people, orderId: order.id, attemptId: newId(), amount: price };
    await hear(ChargeFailedSchema, { payment });
    await allSent();
    expect(mails()).toEqual(["ann@example.com: Not paid: Front row"]);
  });

  it("tells of each refund with its own amount, in whatever order they are heard of", async () => {
    const { refund, refunded, allSent, mailbox } = await traders();
    const [first, second] = [refund("one", 5n), refund("two", 7n)];
    await refunded([first, second]);
    await refunded([first]);
    await allSent();
    const told = mailbox.all().map(({ to, text }) => `${to[0]} ${/\d+\.\d\d EUR/.exec(text)?.[0]}`);
    expect(told.toSorted()).toEqual([
      "ann@example.com 5.00 EUR",
      "ann@example.com 7.00 EUR",
      "sam@example.com 5.00 EUR",
      "sam@example.com 7.00 EUR",
    ]);
  });

  it("is not written again with a later refund, when nobody remembers that it was sent", async () => {
    const { refund, refunded, allSent, mailbox } = await traders();
    const old = { ...refund("old", 5n), updateTime: timestampFromMs(Date.now() - 40 * 86_400_000) };
    await refunded([old, refund("new", 7n)]);
    await allSent();
    expect(mailbox.all().filter(({ text }) => text.includes("5.00 EUR"))).toEqual([]);
    expect(mailbox.all()).toHaveLength(2);
  });

  it("tells no seller of money that came too late for a sale", async () => {
    const { refund, refunded, allSent, mails } = await traders();
    await refunded([refund("late", 25n, RefundReason.ORDER_ENDED)]);
    await allSent();
    expect(mails()).toEqual(["ann@example.com: Money back: Front row"]);
  });

  it("goes to the address of now, and to nobody who has left", async () => {
    const { users, people, completed, allSent, mails } = await traders();
    await users.updateOne({ _id: people.userId }, { $set: { email: "new@example.com" } });
    await users.updateOne({ _id: people.sellerId }, { $set: { status: "DELETED" } });
    await completed();
    await allSent();
    expect(mails()).toEqual(["new@example.com: Your ticket: Front row"]);
  });
});
