import { once } from "node:events";
import { request, type IncomingMessage } from "node:http";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { expect, onTestFinished, test } from "vitest";
import { freePort } from "#stack/process";
import { openMailbox, type Mail } from "./mailbox.ts";
import { serveMails } from "./page.ts";

test("the mailbox shows the newest 200 emails with links, and escapes their markup", async () => {
  const dir = await mkdtemp(join(tmpdir(), "mailbox-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const mailbox = openMailbox(dir);
  for (let i = 0; i < 205; i += 1)
    mailbox.put({ to: ["a@example.com"], subject: `${i}`, text: "" });
  const words = "<script>alert(1)</script> http://shop.test/reset-password?token=a.b&c=1";
  mailbox.put({ to: ["<b>@example.com"], subject: "<img src=x>", text: words });
  const port = await freePort();
  await serveMails(mailbox, { host: "127.0.0.1", port });
  const url = `http://127.0.0.1:${port}`;
  const mails = (await (await fetch(`${url}/mails`)).json()) as Mail[];
  expect(mails).toHaveLength(200);
  expect(mails[0]).toMatchObject({ subject: "<img src=x>", text: words });
  const page = await (await fetch(url)).text();
  expect(page).not.toMatch(/<script|<img|<b>/);
  expect(page).toContain('<a href="http://shop.test/reset-password?token=a.b&#38;c=1">');
});

test("the mailbox shows the other emails if the file of one email is broken", async () => {
  const dir = await mkdtemp(join(tmpdir(), "mailbox-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const mailbox = openMailbox(dir);
  mailbox.put({ to: ["a@example.com"], subject: "first", text: "" });
  await writeFile(join(dir, "2026-half-written.json"), '{"id":"2026-half-wri');
  mailbox.put({ to: ["a@example.com"], subject: "second", text: "" });
  expect(mailbox.all().map(({ subject }) => subject)).toEqual(["second", "first"]);
});

test("the mailbox rejects requests for a host name that another site can point at it", async () => {
  const dir = await mkdtemp(join(tmpdir(), "mailbox-"));
  onTestFinished(() => rm(dir, { recursive: true }));
  const mailbox = openMailbox(dir);
  mailbox.put({ to: ["a@example.com"], subject: "Reset", text: "secret" });
  const port = await freePort();
  await serveMails(mailbox, { host: "127.0.0.1", port });
  const read = async (path: string, host: string) => {
    const asked = request({ port, path, headers: { host }, agent: false }).end();
    const [answer] = (await once(asked, "response")) as [IncomingMessage];
    return { status: answer.statusCode, body: await text(answer) };
  };
  for (const path of ["/", "/mails"]) {
    for (const host of ["localhost", `127.0.0.1:${port}`, "[::1]:8025", "10.42.0.7:8025"])
      expect(await read(path, host), host).toMatchObject({ status: 200 });
    for (const host of [
      "evil.test",
      `evil.test:${port}`,
      "127.0.0.1.evil.test",
      "localhost.evil",
    ]) {
      const { status, body } = await read(path, host);
      expect(status, host).toBe(421);
      expect(body).not.toContain("secret");
    }
  }
});
