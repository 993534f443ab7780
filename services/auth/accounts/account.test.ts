import { UserDeletedSchema } from "@ticketing/proto/auth/v1/user_events";
import { fromBinary } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { hash } from "@node-rs/argon2";
import { decodeJwt } from "jose";
import { describe, expect, it } from "vitest";
import { refusal } from "#runtime/testing/refusal.ts";
import { from, inBody, somebody, testAuth, tokenIn } from "../testing.ts";

const auth = await testAuth();
const { client, account, users, sentEmails, pass, member, emailTo, allSent } = auth;

type Member = Awaited<ReturnType<typeof member>>;

const signIn = ({ email }: { email: string }, password: string) =>
  client.signIn(inBody({ email, password }));

const isOpen = ({ tokens }: Member): Promise<boolean> =>
  client.refreshSession({ refreshToken: tokens.refreshToken }).then(
    () => true,
    () => false,
  );

const wrong = { code: Code.Unauthenticated, reason: "WRONG_CREDENTIALS" };
const expired = { code: Code.FailedPrecondition, reason: "LINK_EXPIRED" };

describe("a new password", () => {
  it("replaces the current one, ends all other sessions, and is announced by email", async () => {
    const ann = await member();
    const other = await signIn(ann, ann.password);
    const newPassword = crypto.randomUUID();
    const change = { password: ann.password, newPassword };
    expect(
      await refusal(account.changePassword({ ...change, password: "not it at all" }, ann.as)),
    ).toMatchObject(wrong);
    await account.changePassword(change, ann.as);
    expect(await refusal(signIn(ann, ann.password))).toMatchObject(wrong);
    await signIn(ann, newPassword);
    const refreshToken = other.tokens?.refreshToken ?? "";
    expect((await refusal(client.refreshSession({ refreshToken }))).reason).toBe("SESSION_ENDED");
    expect(await isOpen(ann)).toBe(true);
    expect((await emailTo(ann.email, /password was changed/)).text).not.toContain(newPassword);
  });

  it("is refused if it is common or the address itself", async () => {
    const ann = await member();
    const local = ann.email.split("@")[0] ?? "";
    for (const newPassword of ["Password123", "QWERTYUIOP", ann.email.toUpperCase(), local]) {
      const change = { password: ann.password, newPassword };
      expect(
        (await refusal(account.changePassword(change, ann.as))).violations,
        newPassword,
      ).toEqual(["new_password PASSWORD_TOO_COMMON"]);
    }
    const fresh = somebody();
    const tooCommon = await refusal(client.signUp(inBody({ ...fresh, password: "iloveyou1" })));
    expect(tooCommon.violations).toEqual(["password PASSWORD_TOO_COMMON"]);
    expect(await users.countDocuments({ email: fresh.email })).toBe(0);
    await signIn(ann, ann.password);
  });

  it.each([
    ["12 spaces", " ".repeat(12)],
    ["8 emoji, counted as one each", "🎫🎟🎭🎪🎨🎬🎤🎧"],
    ["128 characters", "wörd ".repeat(25) + "end"],
  ])("may be anything else: %s", async (_, password) => {
    const fresh = { ...somebody(), password };
    await client.signUp(inBody(fresh));
    await signIn(fresh, password);
    expect(await refusal(signIn(fresh, password.slice(0, -1)))).toMatchObject(wrong);
  });

  it("is compared to the last character, whatever its Unicode normalization", async () => {
    const tail = "x".repeat(80);
    const fresh = { ...somebody(), password: `Ame\u0301lie ${tail}1` };
    await client.signUp(inBody(fresh));
    await signIn(fresh, `Am\u00e9lie ${tail}1`);
    expect(await refusal(signIn(fresh, `Am\u00e9lie ${tail}2`))).toMatchObject(wrong);
  });

  it("is rehashed at sign-in if its hash is weaker than current ones", async () => {
    const ann = await member();
    const weak = await hash(ann.password, { memoryCost: 8_192, timeCost: 1, parallelism: 1 });
    await users.updateOne({ _id: ann.id }, { $set: { passwordHash: weak } });
    await signIn(ann, ann.password);
    const { passwordHash } = await users.findById(ann.id).select("+passwordHash").orFail();
    expect(passwordHash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
    await signIn(ann, ann.password);
  });
});

describe("a forgotten password", () => {
  it("is reset once by the link in an email, which ends all sessions", async () => {
    const ann = await member();
    await account.requestPasswordReset({ email: ann.email.toUpperCase() });
    const token = tokenIn(await emailTo(ann.email, /Set a new password/));
    const newPassword = crypto.randomUUID();
    expect(
      (await refusal(account.resetPassword({ token, newPassword: "password1" }))).violations,
    ).toEqual(["new_password PASSWORD_TOO_COMMON"]);
    await account.resetPassword({ token, newPassword });
    await signIn(ann, newPassword);
    expect(await isOpen(ann)).toBe(false);
    const again = account.resetPassword({ token, newPassword: crypto.randomUUID() });
    expect(await refusal(again)).toMatchObject(expired);
    await signIn(ann, newPassword);
  });

  it("is reset by one of two concurrent uses of the link", async () => {
    const ann = await member();
    await account.requestPasswordReset({ email: ann.email });
    const token = tokenIn(await emailTo(ann.email, /Set a new password/));
    const both = await Promise.allSettled(
      [1, 2].map((n) =>
        account.resetPassword({ token, newPassword: `${crypto.randomUUID()}${n}` }),
      ),
    );
    expect(both.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("is not reset by a link that has expired, was forged, or has another purpose", async () => {
    const ann = await member();
    const welcome = tokenIn(await emailTo(ann.email, /Welcome/));
    await account.requestPasswordReset({ email: ann.email });
    const token = tokenIn(await emailTo(ann.email, /Set a new password/));
    const newPassword = crypto.randomUUID();
    const [purpose, id, expires = "", mac = ""] = token.split(".");
    const later = String(Number(expires) + 1);
    const forged = [
      welcome,
      [purpose, id, later, mac].join("."),
      [purpose, (await member()).id, expires, mac].join("."),
      [purpose, id, expires, mac.slice(1)].join("."),
      "nonsense",
      "...",
    ];
    for (const one of forged) {
      expect(await refusal(account.resetPassword({ token: one, newPassword }))).toMatchObject(
        expired,
      );
    }
    pass(3_600_001);
    expect(await refusal(account.resetPassword({ token, newPassword }))).toMatchObject(expired);
    pass(-3_600_001);
    await signIn(ann, ann.password);
  });

  it("has the same response for an address without an account, which gets no email", async () => {
    const { email } = somebody();
    expect(await account.requestPasswordReset({ email })).toEqual(
      await account.requestPasswordReset({ email: (await member()).email }),
    );
    await allSent();
    expect(sentEmails.filter(({ to }) => to === email)).toEqual([]);
  });
});

describe("an address", () => {
  it("is confirmed once by the link in the welcome email", async () => {
    const ann = await member();
    const token = tokenIn(await emailTo(ann.email, /Welcome/));
    expect((await client.getCurrentUser({}, ann.as)).user?.emailConfirmed).toBe(false);
    await account.confirmEmail({ token });
    expect((await client.getCurrentUser({}, ann.as)).user?.emailConfirmed).toBe(true);
    expect(await refusal(account.confirmEmail({ token }))).toMatchObject(expired);
    expect((await refusal(account.sendConfirmation({}, ann.as))).reason).toBe("EMAIL_CONFIRMED");
    expect(await isOpen(ann)).toBe(true);
  });

  it("is confirmed in access tokens from the next refresh or sign-in", async () => {
    const ann = await member();
    const says = ({ tokens }: { tokens?: { accessToken: string } | undefined }): unknown =>
      decodeJwt(tokens?.accessToken ?? "")["email_verified"];
    const { refreshToken } = ann.tokens;
    expect(says(ann)).toBe(false);
    const renewed = await client.refreshSession({ refreshToken });
    expect(says(renewed)).toBe(false);
    await account.confirmEmail({ token: tokenIn(await emailTo(ann.email, /Welcome/)) });
    const next = { refreshToken: renewed.tokens?.refreshToken ?? "" };
    expect(says(await client.refreshSession(next))).toBe(true);
    expect(says(await signIn(ann, ann.password))).toBe(true);
  });

  it("changes when the new one is confirmed, which notifies the old one and ends all sessions", async () => {
    const ann = await member();
    const { email: newEmail } = somebody();
    const change = { password: ann.password, newEmail };
    expect(
      await refusal(account.changeEmail({ ...change, password: "not it at all" }, ann.as)),
    ).toMatchObject(wrong);
    await account.changeEmail(change, ann.as);
    expect((await emailTo(ann.email, /about to change/)).text).not.toContain(newEmail);
    await signIn(ann, ann.password);
    const token = tokenIn(await emailTo(newEmail, /new email address/));
    await account.confirmEmail({ token });
    expect(await refusal(signIn(ann, ann.password))).toMatchObject(wrong);
    const { user } = await signIn({ email: newEmail }, ann.password);
    expect(user).toMatchObject({ id: ann.id, email: newEmail, emailConfirmed: true });
    expect(await isOpen(ann)).toBe(false);
    expect(await refusal(account.confirmEmail({ token }))).toMatchObject(expired);
  });

  it("does not change by a link that was sent to another address", async () => {
    const ann = await member();
    const { email: first } = somebody();
    const { email: second } = somebody();
    const { password } = ann;
    const welcome = tokenIn(await emailTo(ann.email, /Welcome/));
    await account.changeEmail({ password, newEmail: first }, ann.as);
    const toFirst = tokenIn(await emailTo(first, /new email address/));
    await account.sendConfirmation({}, ann.as);
    const toNow = tokenIn(await emailTo(ann.email, /Confirm your email address/));
    await account.changeEmail({ password, newEmail: second }, ann.as);
    expect(await refusal(account.confirmEmail({ token: toFirst }))).toMatchObject(expired);
    await account.confirmEmail({ token: toNow });
    expect((await client.getCurrentUser({}, ann.as)).user).toMatchObject({
      email: ann.email,
      emailConfirmed: true,
    });
    expect(await refusal(account.confirmEmail({ token: welcome }))).toMatchObject(expired);
    // The owner has confirmed the address. The pending change may be a stranger's.
    expect((await account.exportAccount({}, ann.as)).pendingEmail).toBe("");
  });

  it("that is no longer the account's cannot reset its password", async () => {
    const ann = await member();
    await account.requestPasswordReset({ email: ann.email });
    const reset = tokenIn(await emailTo(ann.email, /Set a new password/));
    const { email: newEmail } = somebody();
    await account.changeEmail({ password: ann.password, newEmail }, ann.as);
    await account.confirmEmail({ token: tokenIn(await emailTo(newEmail, /new email address/)) });
    const late = account.resetPassword({ token: reset, newPassword: crypto.randomUUID() });
    expect(await refusal(late)).toMatchObject(expired);
  });

  it("of another account is revealed to its owner only", async () => {
    const [ann, bob] = [await member(), await member()];
    const change = { password: ann.password, newEmail: bob.email.toUpperCase() };
    expect(await account.changeEmail(change, ann.as)).toEqual(
      await account.changeEmail({ ...change, newEmail: somebody().email }, ann.as),
    );
    expect((await emailTo(bob.email, /have an account/)).text).not.toContain("token=");
    await allSent();
    expect(
      sentEmails.filter(({ to, subject }) => to === ann.email && /about to/.test(subject)),
    ).toHaveLength(2);
    await signIn(bob, bob.password);
  });

  it("that another account has taken since stays with that account", async () => {
    const ann = await member();
    const bob = somebody();
    await account.changeEmail({ password: ann.password, newEmail: bob.email }, ann.as);
    const token = tokenIn(await emailTo(bob.email, /new email address/));
    await client.signUp(inBody(bob));
    expect((await refusal(account.confirmEmail({ token }))).reason).toBe("EMAIL_TAKEN");
    await signIn(ann, ann.password);
    await signIn(bob, bob.password);
  });
});

describe("an account", () => {
  it("can be exported by its owner, without secrets", async () => {
    const ann = await member();
    const { user, sessions } = await account.exportAccount({}, ann.as);
    expect(user).toMatchObject({ id: ann.id, email: ann.email });
    expect(sessions).toHaveLength(1);
    expect(sessions[0]).toMatchObject({ current: true });
  });

  it("is deleted by its owner: its personal data is gone, an event is published, and nobody can sign in", async () => {
    const ann = await member();
    await emailTo(ann.email, /Welcome/);
    expect(
      await refusal(account.deleteAccount({ password: "not it at all" }, ann.as)),
    ).toMatchObject(wrong);
    await account.deleteAccount({ password: ann.password }, ann.as);
    const stored = await users.findById(ann.id).select("+passwordHash").lean().orFail();
    expect(JSON.stringify(stored)).not.toContain(ann.email.split("@")[0]);
    const news = stored.outbox.find(({ type }) => type === UserDeletedSchema.typeName);
    const { buffer } = news?.payload as unknown as { buffer: Uint8Array };
    expect(fromBinary(UserDeletedSchema, buffer)).toMatchObject({
      userId: ann.id,
      version: BigInt(stored.version),
    });
    expect(await isOpen(ann)).toBe(false);
    expect(await refusal(signIn(ann, ann.password))).toMatchObject(wrong);
    expect(await refusal(signIn({ email: `deleted:${ann.id}` }, ann.password))).toMatchObject(
      wrong,
    );
    expect((await client.getCurrentUser({}, ann.as)).user).toBeUndefined();
    await emailTo(ann.email, /deleted/);
    const again = await client.signUp(inBody({ ...ann, password: crypto.randomUUID() }));
    expect(again.user?.id).not.toBe(ann.id);
  });
});

it("password guesses of a signed-in user have the same limit as sign-ins", async () => {
  const strict = await testAuth({ perAccountAndAddress: 3 });
  const ann = somebody();
  const { tokens } = await strict.client.signUp(inBody(ann));
  const { headers } = from("203.0.113.9", {
    authorization: `Bearer ${tokens?.accessToken}`,
  });
  const guess = () =>
    refusal(strict.account.deleteAccount({ password: "a guess at it" }, { headers }));
  const reasons: (string | undefined)[] = [];
  for (let i = 0; i < 5; i += 1) reasons.push((await guess()).reason);
  expect(reasons.slice(0, 3)).toEqual(Array(3).fill("WRONG_CREDENTIALS"));
  expect(reasons.slice(3)).toEqual(Array(2).fill("TOO_MANY_ATTEMPTS"));
});
