import { expect, it } from "vitest";
import { bearer, inBody, somebody, testAuth, tokenIn } from "../testing.ts";

const auth = await testAuth();
const { client, account, storedMails, member, emailTo } = auth;

const kept = (mail: object) =>
  storedMails.create({
    ...{ _id: crypto.randomUUID(), createTime: new Date(), takenUntil: new Date("9999-01-01") },
    ...mail,
  });

it("an export tells which addresses the account has left, and when it was banned", async () => {
  const [ann, boss] = [await member(), await auth.administrator()];
  const { email: newEmail } = somebody();
  await account.changeEmail({ password: ann.password, newEmail }, ann.as);
  await account.confirmEmail({ token: tokenIn(await emailTo(newEmail, /new email address/)) });
  await auth.admin.banUser({ userId: ann.id, reason: "A mistake" }, boss);
  await auth.admin.unbanUser({ userId: ann.id }, boss);
  const { tokens } = await client.signIn(inBody({ email: newEmail, password: ann.password }));
  const exported = await account.exportAccount({}, bearer(tokens!));
  expect(exported.formerEmails).toMatchObject([{ email: ann.email, undoUntil: {} }]);
  expect(exported.standingTime).toBeDefined();
});

it("an export tells of the letters that are kept, also of those asked for without signing in", async () => {
  const ann = await member();
  const trade = { orderId: "order-1", title: "A concert", amount: "25.50 EUR" };
  await kept({ cause: "sold", userId: ann.id, trade, sentTime: new Date() });
  await kept({ cause: "reset", to: ann.email, refusedTime: new Date(), refusal: "550" });
  await kept({ cause: "taken", to: ann.email, userId: "whoever wants to move there" });
  await kept({ cause: "reset", to: "somebody-else@example.com" });
  const { letters } = await account.exportAccount({}, ann.as);
  expect(letters.filter(({ cause }) => cause !== "welcome")).toMatchObject([
    { cause: "sold", ...trade, sentTime: {} },
    { cause: "reset", email: ann.email, refusal: "550", refusedTime: {} },
    { cause: "taken", email: ann.email },
  ]);
});

it("an export tells of however many letters, in pages that hold each once", async () => {
  const ann = await member();
  const trade = { orderId: "order-1", title: "A concert", amount: "25.50 EUR" };
  const sent = Array.from({ length: 600 }, () => kept({ cause: "sold", userId: ann.id, trade }));
  await Promise.all(sent);
  const first = await account.exportAccount({}, ann.as);
  const second = await account.exportAccount({ pageToken: first.nextPageToken }, ann.as);
  const letters = [...first.letters, ...second.letters].filter(({ cause }) => cause === "sold");
  expect(new Set(letters.map(({ id }) => id)).size).toBe(600);
  expect([letters.length, first.letters.length, second.nextPageToken]).toEqual([600, 500, ""]);
});

it("an export does not tell whether an address that somebody wants has an account", async () => {
  const ann = await member();
  await kept({ cause: "taken", to: "an-owner@example.com", userId: ann.id });
  await kept({ cause: "move", to: "nobody@example.com", userId: ann.id });
  const { letters } = await account.exportAccount({}, ann.as);
  expect(letters.filter(({ cause }) => cause !== "welcome")).toEqual([]);
});
