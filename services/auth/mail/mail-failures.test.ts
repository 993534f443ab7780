import { once } from "node:events";
import { createServer, type AddressInfo } from "node:net";
import { SMTPServer } from "smtp-server";
import { describe, expect, it, onTestFinished } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { buildIndexes } from "#runtime/store/indexes.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { recordedLog } from "#runtime/testing/log.ts";
import { testDatabase } from "#runtime/testing/database.ts";
import { tradeLetter } from "./templates.ts";
import { linkTokens } from "./link-tokens.ts";
import { mailStore, postModel } from "./mail-store.ts";
import { smtpMailer, type Mailer } from "./mailer.ts";
import { startPost } from "./mail-queue.ts";
import { userModel } from "../user.ts";

const FROM = "Ticketing <no-reply@shop.test>";

interface Answers {
  greeting?: string;
  from?: string;
  receiver?: string;
  content?: string;
}

/** A mail server that says so, of what it refuses, and counts what it was asked. */
async function mailServer({ greeting, from, receiver, content }: Answers) {
  const asked = { times: 0 };
  const refusal = (answer: string | undefined) => {
    if (!answer) return undefined;
    return Object.assign(new Error("not here"), { responseCode: Number(answer) });
  };
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ["AUTH", "STARTTLS"],
    onConnect: (_, done) => ((asked.times += 1), done(refusal(greeting))),
    onMailFrom: (_, __, done) => done(refusal(from)),
    onRcptTo: (_, __, done) => done(refusal(receiver)),
    onData: (stream, _, done) => (stream.resume(), stream.on("end", () => done(refusal(content)))),
  });
  server.on("error", () => undefined);
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  const { port } = server.server.address() as AddressInfo;
  return { url: `smtp://127.0.0.1:${port}`, asked };
}

async function office(mailer: Mailer) {
  const db = await testDatabase();
  const [users, posts] = [userModel(db), postModel(db)];
  await buildIndexes(users, posts);
  const { log, lines } = recordedLog();
  const links = linkTokens("a key", Date.now);
  const options = { posts, users, mailer, links, log, publicUrl: "http://shop.test" };
  const post = startPost({ ...options, mayNotify: async () => true });
  onTestFinished(() => post.close());
  return { posts, post, lines };
}

const about = { cause: "password" as const, createTime: new Date() };

describe("a mail that its server refuses for good", () => {
  it.each<[string, Answers]>([
    ["its receiver", { receiver: "550" }],
    ["its sender", { from: "553" }],
    ["its content", { content: "554" }],
  ])("is not tried again, and operators see it: %s", async (_, answers) => {
    const { url, asked } = await mailServer(answers);
    const { post, posts, lines } = await office(smtpMailer(url, FROM));
    await post.send("password", "gone@example.com");
    const refused = await eventually(
      () => posts.findOne({ refusedTime: { $exists: true } }).lean(),
      "the refusal to be stored",
    );
    const code = Object.values(answers)[0];
    expect(refused.refusal).toContain(code);
    const line = lines.find(({ msg }) => msg === "mail refused for good");
    expect(line).toMatchObject({ mail: "password", id: refused._id });
    expect(JSON.stringify(lines)).not.toContain("gone@example.com");
    for (let i = 0; i < 5; i += 1) await post.sweep();
    expect(asked.times).toBe(1);
    expect(refused.takenUntil.getFullYear()).toBe(9999);
  });

  it("is also one that is no address, in whatever way it came there", async () => {
    const { url, asked } = await mailServer({});
    const { post, posts } = await office(smtpMailer(url, FROM));
    await post.send("password", "a@example.com\r\nRCPT TO:<b@example.com>");
    await eventually(() => posts.exists({ refusedTime: { $exists: true } }), "the refusal");
    expect(asked.times).toBe(0);
  });
});

describe("a mail that cannot be sent now", () => {
  it.each<[string, Answers]>([
    ["its receiver's mailbox is busy", { receiver: "450" }],
    ["the server asks for a password that we have not", { from: "530" }],
    ["the server does not want to talk to us", { greeting: "554" }],
  ])("is tried again after pauses that grow: %s", async (_, answers) => {
    const { url } = await mailServer(answers);
    const { post, posts } = await office(smtpMailer(url, FROM));
    await post.send("password", "ann@example.com");
    const pauses: number[] = [];
    for (let tries = 1; tries <= 3; tries += 1) {
      const mail = await eventually(() => posts.findOne({ tries }).lean(), "a failure");
      pauses.push(mail.takenUntil.getTime() - Date.now());
      expect(mail.refusedTime).toBeUndefined();
      await posts.updateOne({ _id: mail._id }, { $set: { takenUntil: new Date(0) } });
      await post.sweep();
    }
    expect(pauses[2]).toBeGreaterThan((pauses[0] ?? 0) * 2);
  });

  it("a thousand of them hold up nobody's mail", async () => {
    const sent: string[] = [];
    let released = () => {};
    const forever = new Promise<void>((resolve) => (released = resolve));
    const mailer: Mailer = {
      send: ({ to }) => (to.startsWith("bad") ? forever : Promise.resolve(void sent.push(to))),
      close: () => {},
    };
    const { post, posts } = await office(mailer);
    onTestFinished(released);
    const bad = Array.from({ length: 1_500 }, (_, i) => ({
      ...{ ...about, _id: newId(), to: `bad${i}@example.com`, tries: 3 },
      takenUntil: new Date(0),
    }));
    await posts.insertMany(bad);
    await post.sweep();
    const good = { ...about, _id: newId(), to: "ann@example.com", takenUntil: new Date(1) };
    await posts.create(good); // As after a restart: nobody but the sweep knows of it.
    await post.sweep();
    await eventually(() => sent.includes("ann@example.com"), "the good one");
    released();
  });

  it("waits a quarter of an hour at most, however often it has failed", async () => {
    const db = await testDatabase();
    const posts = postModel(db);
    const store = mailStore(posts);
    const mail = { ...about, _id: newId(), to: "ann@example.com", takenUntil: new Date(0) };
    await posts.create({ ...mail, tries: 400 });
    await store.postpone({ ...mail, tries: 400 });
    const { takenUntil, tries } = await posts.findById(mail._id).lean().orFail();
    expect(tries).toBe(401);
    expect(takenUntil.getTime()).toBeGreaterThan(Date.now() + 11 * 60_000);
    expect(takenUntil.getTime()).toBeLessThanOrEqual(Date.now() + 15 * 60_000);
  });
});

it("what people have typed makes no header and no line of its own in a mail", async () => {
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
        if (!inData || isData) socket.write(isData ? "354 go on\r\n" : "250 ok\r\n");
      }
    });
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  onTestFinished(() => void server.close());
  const { port } = server.address() as AddressInfo;
  const mailer = smtpMailer(`smtp://127.0.0.1:${port}`, FROM);
  onTestFinished(() => mailer.close());
  const title = "Front row\r\nBcc: thief@example.com\u2028Reply-To: x\u0000\u202Eend";
  const letter = tradeLetter("sold", "http://shop.test", { orderId: "1", title, amount: "1 EUR" });
  await mailer.send({ id: newId(), to: "ann@example.com", ...letter });
  expect(lines.filter((line) => /^(Bcc|Reply-To):/i.test(line))).toEqual([]);
  expect(letter.text).toContain("Front row Bcc: thief@example.com Reply-To: x end.");
  expect(letter.text).not.toMatch(/[\r\u0000\u2028\u202E]/);
});
