import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { newId } from "#runtime/ids.ts";
import { eventually, recordedLog, testDatabase } from "#runtime/testing.ts";
import { openMailbox } from "#stack/mailbox/mailbox.ts";
import { serveSmtp } from "#stack/mailbox/smtp.ts";
import { freePort } from "#stack/ports.ts";
import { linkTokens } from "./links.ts";
import { smtpMailer, type Mailer } from "./mailer.ts";
import { postModel, startPost } from "./post.ts";
import { enrol, userModel } from "./user.ts";

const FROM = "Ticketing <no-reply@shop.test>";

/** A post office with a real mail server that may not be there yet. */
async function office() {
  const db = await testDatabase();
  const [users, posts] = [userModel(db), postModel(db)];
  await Promise.all([users.init(), posts.init()]);
  const dir = await mkdtemp(join(tmpdir(), "mailbox-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const mailbox = openMailbox(dir);
  const port = await freePort();
  const { log, lines } = recordedLog();
  const links = linkTokens("a key", Date.now);

  function start(mailer: Mailer = smtpMailer(`smtp://127.0.0.1:${port}`, FROM)) {
    const post = startPost({ posts, users, mailer, links, log, publicUrl: "http://shop.test" });
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
  return { posts, mailbox, lines, start, member, open };
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
    await start().sweep();
    await eventually(() => mailbox.all().length === 1, "the mail");
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
