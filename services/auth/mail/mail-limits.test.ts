import { describe, expect, it } from "vitest";
import { eventually } from "#runtime/testing/eventually.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { from, inBody, somebody, testAuth } from "../testing.ts";

const auth = await testAuth({ mailsPerAddress: 5, perAccount: 20, perAccountAndAddress: 10 });
const { client, account, users, sentEmails, storedMails } = auth;

let host = 0;
/** Calls from a new client address each time. */
const fromSomewhere = (headers: Record<string, string> = {}) =>
  from(`198.51.${(host += 1) >> 8}.${host & 255}`, headers);

async function member(email = somebody().email) {
  const credentials = { email, password: somebody().password };
  const { user, tokens } = await client.signUp(inBody(credentials), fromSomewhere());
  const authorization = `Bearer ${tokens?.accessToken}`;
  return { ...credentials, id: user?.id ?? "", as: () => fromSomewhere({ authorization }) };
}

const allWritten = () =>
  eventually(async () => (await storedMails.countDocuments()) === 0, "all emails to be sent");
const to = (email: string) => sentEmails.filter((mail) => mail.to === email);

/** How many of these calls succeed, and with which reasons the others fail. */
async function outcomes(times: number, call: () => Promise<unknown>) {
  const reasons = new Set<string>();
  let answered = 0;
  for (let i = 0; i < times; i += 1) {
    const reason = await call().then(
      () => undefined,
      async (error: unknown) => (await refusal(Promise.reject(error))).reason ?? "none",
    );
    if (reason === undefined) answered += 1;
    else reasons.add(reason);
  }
  return { answered, reasons: [...reasons] };
}

describe("a stranger is not flooded with emails", () => {
  it("by an account that requests an email change to their address repeatedly", async () => {
    const [thief, victim] = [await member(), somebody().email];
    const move = () =>
      account.changeEmail({ password: thief.password, newEmail: victim }, thief.as());
    expect(await outcomes(12, move)).toEqual({ answered: 5, reasons: ["TOO_MANY_ATTEMPTS"] });
    await allWritten();
    expect(to(victim)).toHaveLength(5);
  });

  it("by many accounts, and one account cannot flood many strangers", async () => {
    const victim = somebody().email;
    for (let i = 0; i < 6; i += 1) {
      const thief = await member();
      const move = { password: thief.password, newEmail: victim };
      await account.changeEmail(move, thief.as()).catch(() => undefined);
    }
    const thief = await member();
    const moves = await outcomes(12, () =>
      account.changeEmail({ password: thief.password, newEmail: somebody().email }, thief.as()),
    );
    expect(moves).toEqual({ answered: 5, reasons: ["TOO_MANY_ATTEMPTS"] });
    await allWritten();
    expect(to(victim)).toHaveLength(5);
  });

  it("by an account that was created with their address", async () => {
    const victim = somebody().email;
    const thief = await member(victim);
    let { password } = thief;
    for (let i = 0; i < 6; i += 1) {
      await account.sendConfirmation({}, thief.as()).catch(() => undefined);
      const newPassword = crypto.randomUUID();
      await account.changePassword({ password, newPassword }, thief.as());
      password = newPassword;
    }
    await allWritten();
    expect(to(victim)).toHaveLength(5);
  });

  it("but the owner of a confirmed address is told about every change", async () => {
    const ann = await member();
    await users.updateOne({ _id: ann.id }, { $set: { emailConfirmed: true } });
    let { password } = ann;
    for (let i = 0; i < 7; i += 1) {
      const newPassword = crypto.randomUUID();
      await account.changePassword({ password, newPassword }, ann.as());
      password = newPassword;
    }
    await allWritten();
    expect(to(ann.email).filter(({ subject }) => /changed/.test(subject))).toHaveLength(7);
  });
});

describe("a forgotten password", () => {
  it("requested by strangers many times sends its owner one email and does not block them", async () => {
    const ann = await member();
    const ask = () => account.requestPasswordReset({ email: ann.email }, fromSomewhere());
    expect(await outcomes(40, ask)).toEqual({ answered: 40, reasons: [] });
    const flood = from("203.0.113.77");
    const one = () => account.requestPasswordReset({ email: ann.email }, flood);
    expect((await outcomes(30, one)).reasons).toEqual(["TOO_MANY_ATTEMPTS"]);
    await account.requestPasswordReset({ email: ann.email }, fromSomewhere());
    await client.signIn(inBody(ann), fromSomewhere());
    await allWritten();
    expect(to(ann.email).filter(({ subject }) => /new password/.test(subject))).toHaveLength(1);
  });

  it("is sent to the address of the account, not to the typed spelling", async () => {
    const ann = await member(`Kate-${crypto.randomUUID()}@Kite.example.com`);
    const typed = ann.email.toUpperCase();
    await account.requestPasswordReset({ email: typed }, fromSomewhere());
    await eventually(() => to(ann.email).length === 2, "the mail");
    expect(to(typed)).toEqual([]);
  });

  it.each(["\u212A", "\uFF2B", "\u041A"])(
    "does not treat a letter that looks like K as K: %s",
    async (letter) => {
      const ann = await member(`Kate-${crypto.randomUUID()}@Kite.example.com`);
      const typed = ann.email.replaceAll("K", letter);
      await account.requestPasswordReset({ email: typed }, fromSomewhere());
      await allWritten();
      expect(
        sentEmails.filter(({ subject }) => /new password/.test(subject)).map(({ to }) => to),
      ).not.toContain(typed);
      expect(to(ann.email)).toHaveLength(1); // The welcome email.
      expect(
        (await refusal(client.signIn(inBody({ ...ann, email: typed }), fromSomewhere()))).reason,
      ).toBe("WRONG_CREDENTIALS");
    },
  );
});

it("failed sign-ups with an address do not prevent its owner from signing up", async () => {
  const ann = somebody();
  const bad = () => client.signUp(inBody({ ...ann, password: "password1" }), fromSomewhere());
  for (let i = 0; i < 30; i += 1) await refusal(bad());
  await client.signUp(inBody(ann), fromSomewhere());
});

describe("an address", () => {
  const wrong = [
    ".dot@example.com",
    "dot.@example.com",
    "two..dots@example.com",
    "a@b",
    "a@localhost",
    "a@example..com",
    "a@-example.com",
    "a@example-.com",
    "a@192.0.2.1",
    "a@[192.0.2.1]",
    "a b@example.com",
    '"a b"@example.com',
    "a@example.com\r\nBcc: b@example.com",
    "a@example.com\n",
    "a\u0000@example.com",
    "Ann <ann@example.com>",
    "ann@example.com, bob@example.com",
    `${"x".repeat(65)}@example.com`,
    "\u212Aate@example.com",
  ];
  const owner = member();
  it.each(wrong)("that is invalid is refused: %j", async (email) => {
    const ann = await owner;
    const { violations } = await refusal(
      client.signUp(inBody({ ...somebody(), email }), fromSomewhere()),
    );
    expect(violations?.map((each) => each.split(" ")[0])).toContain("email");
    const move = { password: ann.password, newEmail: email };
    const refused = await refusal(account.changeEmail(move, ann.as()));
    expect(refused.violations?.map((each) => each.split(" ")[0])).toContain("new_email");
  });

  it.each(["o'brien+tickets", "a.b-c_d", "x", "!#$%&"])(
    "that is valid is accepted: %s",
    async (local) => {
      await member(`${local}${crypto.randomUUID()}@mail.xn--bcher-kva.example`);
    },
  );
});
