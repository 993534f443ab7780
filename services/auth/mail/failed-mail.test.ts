import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { SMTPServer } from "smtp-server";
import { describe, expect, it, onTestFinished } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { recordedLog } from "#runtime/testing/log.ts";
import { testDatabase } from "#runtime/testing/database.ts";
import { tradeEmail } from "./trade-templates.ts";
import { linkTokens } from "./link-tokens.ts";
import { mailModel } from "./mail.ts";
import { mailStore } from "./mail-store.ts";
import { smtpMailer, type Mailer } from "./smtp-mailer.ts";
import { createMailQueue } from "./mail-queue.ts";
import { userModel } from "../user.ts";

const FROM = "Ticketing <no-reply@shop.test>";

interface Replies {
  greeting?: string;
  from?: string;
  receiver?: string;
  content?: string;
}

/** A mail server that replies with these codes, and counts its connections. */
async function mailServer({ greeting, from, receiver, content }: Replies) {
  const connections = { count: 0 };
  const refusal = (answer: string | undefined) => {
    if (!answer) return undefined;
    return Object.assign(new Error("rejected"), { responseCode: Number(answer) });
  };
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["AUTH", "STARTTLS"],
    onConnect: (_, done) => ((connections.count += 1), done(refusal(greeting))),
    onMailFrom: (_, __, done) => done(refusal(from)),
    onRcptTo: (_, __, done) => done(refusal(receiver)),
    onData: (stream, _, done) => (stream.resume(), stream.on("end", () => done(refusal(content)))),
  });
  server.on("error", () => undefined);
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const { port } = server.server.address() as AddressInfo;
  return { url: `smtp://127.0.0.1:${port}`, connections };
}

async function mailQueueFixture(mailer: Mailer) {
  const db = await testDatabase();
  const [users, storedMails] = [userModel(db), mailModel(db)];
  await buildIndexes(users, storedMails);
  const { log, lines } = recordedLog();
  const links = linkTokens("a key", Date.now);
  const options = { mails: storedMails, users, mailer, links, log, publicUrl: "http://shop.test" };
  const mailQueue = createMailQueue({ ...options, mayNotify: async () => true });
  onTestFinished(() => mailQueue.close());
  return { storedMails, mailQueue, lines };
}

const about = { cause: "password" as const, createTime: new Date() };

describe("an email that the mail server rejects permanently", () => {
  it.each<[string, Replies]>([
    ["its receiver", { receiver: "550" }],
    ["its sender", { from: "553" }],
    ["its content", { content: "554" }],
  ])("is not retried, and is logged: %s", async (_, answers) => {
    const { url, connections } = await mailServer(answers);
    const { mailQueue, storedMails, lines } = await mailQueueFixture(smtpMailer(url, FROM));
    await mailQueue.enqueue("password", "gone@example.com");
    const refused = await eventually(
      () => storedMails.findOne({ refusedTime: { $exists: true } }).lean(),
      "the stored rejection",
    );
    const code = Object.values(answers)[0];
    expect(refused.refusal).toContain(code);
    const line = lines.find(({ msg }) => msg === "the mail server rejected an email permanently");
    expect(line).toMatchObject({ mail: "password", id: refused._id });
    expect(JSON.stringify(lines)).not.toContain("gone@example.com");
    for (let i = 0; i < 5; i += 1) await mailQueue.sweep();
    expect(connections.count).toBe(1);
    expect(refused.takenUntil.getFullYear()).toBe(9999);
  });

  it("is also one whose address has several lines", async () => {
    const { url, connections } = await mailServer({});
    const { mailQueue, storedMails } = await mailQueueFixture(smtpMailer(url, FROM));
    await mailQueue.enqueue("password", "a@example.com\r\nRCPT TO:<b@example.com>");
    await eventually(() => storedMails.exists({ refusedTime: { $exists: true } }), "the rejection");
    expect(connections.count).toBe(0);
  });
});

describe("an email that cannot be sent now", () => {
  it.each<[string, Replies]>([
    ["its receiver's mailbox is busy", { receiver: "450" }],
    ["the server requires authentication", { from: "530" }],
    ["the server rejects the connection", { greeting: "554" }],
  ])("is retried with exponential backoff: %s", async (_, answers) => {
    const { url } = await mailServer(answers);
    const { mailQueue, storedMails } = await mailQueueFixture(smtpMailer(url, FROM));
    await mailQueue.enqueue("password", "ann@example.com");
    const pauses: number[] = [];
    for (let tries = 1; tries <= 3; tries += 1) {
      const mail = await eventually(() => storedMails.findOne({ tries }).lean(), "a failure");
      pauses.push(mail.takenUntil.getTime() - Date.now());
      expect(mail.refusedTime).toBeUndefined();
      await storedMails.updateOne({ _id: mail._id }, { $set: { takenUntil: new Date(0) } });
      await mailQueue.sweep();
    }
    expect(pauses[2]).toBeGreaterThan((pauses[0] ?? 0) * 2);
  });

  it("does not delay new emails, even if there are a thousand", async () => {
    const sent: string[] = [];
    let released = () => {};
    const forever = new Promise<void>((resolve) => (released = resolve));
    const mailer: Mailer = {
      send: ({ to }) => (to.startsWith("bad") ? forever : Promise.resolve(void sent.push(to))),
      close: () => {},
    };
    const { mailQueue, storedMails } = await mailQueueFixture(mailer);
    onTestFinished(released);
    const bad = Array.from({ length: 1_500 }, (_, i) => ({
      ...about,
      _id: newId(),
      to: `bad${i}@example.com`,
      tries: 3,
      takenUntil: new Date(0),
    }));
    await storedMails.insertMany(bad);
    await mailQueue.sweep();
    const good = { ...about, _id: newId(), to: "ann@example.com", takenUntil: new Date(1) };
    await storedMails.create(good); // As after a restart: only the sweep finds it.
    await mailQueue.sweep();
    await eventually(() => sent.includes("ann@example.com"), "the new email");
    released();
  });

  it("is retried after at most 15 minutes, also after 400 attempts", async () => {
    const db = await testDatabase();
    const storedMails = mailModel(db);
    const store = mailStore(storedMails);
    const mail = { ...about, _id: newId(), to: "ann@example.com", takenUntil: new Date(0) };
    await storedMails.create({ ...mail, tries: 400 });
    await store.postpone({ ...mail, tries: 400 });
    const { takenUntil, tries } = await storedMails.findById(mail._id).lean().orFail();
    expect(tries).toBe(401);
    expect(takenUntil.getTime()).toBeGreaterThan(Date.now() + 11 * 60_000);
    expect(takenUntil.getTime()).toBeLessThanOrEqual(Date.now() + 15 * 60_000);
  });
});

it("user input adds no header and no line to an email", async () => {
  const lines: string[] = [];
  const server = createServer((socket) => {
    let inData = false;
    socket.on("error", () => undefined);
    socket.write("220 shop.test\r\n");
    socket.on("data", (chunk) => {
      for (const line of chunk.toString().split("\r\n").filter(Boolean)) {
        if (inData) lines.push(line);
        if (line === ".") inData = false;
        const isData = line === "DATA";
        if (isData) inData = true;
        if (!inData || isData) socket.write(isData ? "354 continue\r\n" : "250 ok\r\n");
      }
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const mailer = smtpMailer(`smtp://127.0.0.1:${port}`, FROM);
  onTestFinished(() => mailer.close());
  const title = "Front row\r\nBcc: thief@example.com\u2028Reply-To: x\u0000\u202Eend";
  const email = tradeEmail("sold", "http://shop.test", { orderId: "1", title, amount: "1 EUR" });
  await mailer.send({ id: newId(), to: "ann@example.com", ...email });
  expect(lines.filter((line) => /^(Bcc|Reply-To):/i.test(line))).toEqual([]);
  expect(email.text).toContain("Front row Bcc: thief@example.com Reply-To: x end.");
  expect(email.text).not.toMatch(/[\r\u0000\u2028\u202E]/);
});
