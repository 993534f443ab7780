import { expect, it } from "vitest";
import { bearer, inBody, somebody, testAuth, tokenIn } from "../testing.ts";

const auth = await testAuth();
const { client, account, storedMails, member, emailTo } = auth;

const storeMail = (mail: object) =>
  storedMails.create({
    _id: crypto.randomUUID(),
    createTime: new Date(),
    takenUntil: new Date("9999-01-01"),
    ...mail,
  });

it("an export contains the former addresses and the time of the last ban", async () => {
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

it("an export contains the stored emails, also those requested without signing in", async () => {
  const ann = await member();
  const trade = { orderId: "order-1", title: "A concert", amount: "25.50 EUR" };
  await storeMail({ cause: "sold", userId: ann.id, trade, sentTime: new Date() });
  await storeMail({ cause: "reset", to: ann.email, refusedTime: new Date(), refusal: "550" });
  await storeMail({ cause: "taken", to: ann.email, userId: "a user who requests this address" });
  await storeMail({ cause: "reset", to: "somebody-else@example.com" });
  const { letters } = await account.exportAccount({}, ann.as);
  expect(letters.filter(({ cause }) => cause !== "welcome")).toMatchObject([
    { cause: "sold", ...trade, sentTime: {} },
    { cause: "reset", email: ann.email, refusal: "550", refusedTime: {} },
    { cause: "taken", email: ann.email },
  ]);
});

it("an export contains each of many emails once, in pages", async () => {
  const ann = await member();
  const trade = { orderId: "order-1", title: "A concert", amount: "25.50 EUR" };
  const sent = Array.from({ length: 600 }, () =>
    storeMail({ cause: "sold", userId: ann.id, trade }),
  );
  await Promise.all(sent);
  const first = await account.exportAccount({}, ann.as);
  const second = await account.exportAccount({ pageToken: first.nextPageToken }, ann.as);
  const letters = [...first.letters, ...second.letters].filter(({ cause }) => cause === "sold");
  expect(new Set(letters.map(({ id }) => id)).size).toBe(600);
  expect([letters.length, first.letters.length, second.nextPageToken]).toEqual([600, 500, ""]);
});

it("an export does not reveal whether the requested new address has an account", async () => {
  const ann = await member();
  await storeMail({ cause: "taken", to: "an-owner@example.com", userId: ann.id });
  await storeMail({ cause: "move", to: "nobody@example.com", userId: ann.id });
  const { letters } = await account.exportAccount({}, ann.as);
  expect(letters.filter(({ cause }) => cause !== "welcome")).toEqual([]);
});
