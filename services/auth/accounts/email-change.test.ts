import { Code } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { eventually } from "#runtime/testing/eventually.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { releaseFormerEmails } from "./user-email.ts";
import { bearer, inBody, somebody, testAuth, tokenIn } from "../testing.ts";

const auth = await testAuth();
const { client, account, admin, users, links, sentEmails, pass, mailQueue, emailTo, allSent } =
  auth;
const boss = await auth.administrator();

const DAY = 86_400_000;
const expired = { code: Code.FailedPrecondition, reason: "LINK_EXPIRED" };
const wrong = { code: Code.Unauthenticated, reason: "WRONG_CREDENTIALS" };
const fresh = (): string => crypto.randomUUID();

const signIn = (email: string, password: string) => client.signIn(inBody({ email, password }));

const undoLinkTo = async (to: string): Promise<string> => tokenIn(await emailTo(to, /was changed/));
const undo = (token: string, newPassword = fresh()) =>
  account.undoEmailChange({ token, newPassword });

/** A user with a confirmed address and their current password. */
async function owner() {
  const { email, password } = somebody();
  const { user } = await client.signUp(inBody({ email, password }));
  const id = user!.id;
  const stored = () => users.findById(id).orFail();
  await account.confirmEmail({ token: links.create("confirm", await stored()) });
  return { id, email, password, stored };
}
type Owner = Awaited<ReturnType<typeof owner>>;

/** Changes the email address of an account, like anyone who has the password can. */
async function changeEmailTo({ id, password }: Pick<Owner, "id" | "password">, newEmail: string) {
  const { email } = await users.findById(id).orFail();
  const { tokens } = await signIn(email, password);
  const { headers } = bearer(tokens!);
  await account.changeEmail({ password, newEmail }, { headers });
  const token = links.create("move", await users.findById(id).orFail());
  await account.confirmEmail({ token });
  return newEmail;
}

describe("a thief who changes the email address of an account", () => {
  it("gains nothing once the owner does what the warning says", async () => {
    const ann = await owner();
    const thief = somebody().email;
    const { tokens } = await signIn(ann.email, ann.password);
    const { headers } = bearer(tokens!);
    await account.changeEmail({ password: ann.password, newEmail: thief }, { headers });
    const move = tokenIn(await emailTo(thief, /new email address/));
    const { text } = await emailTo(ann.email, /about to change/);
    expect(text).toContain("forgotten-password");
    await account.requestPasswordReset({ email: ann.email });
    const token = tokenIn(await emailTo(ann.email, /Set a new password/));
    const newPassword = fresh();
    await account.resetPassword({ token, newPassword });
    expect(await refusal(account.confirmEmail({ token: move }))).toMatchObject(expired);
    expect((await signIn(ann.email, newPassword)).user?.id).toBe(ann.id);
  });

  it("loses the account when the old address undoes the change with a new password", async () => {
    const ann = await owner();
    const thief = await changeEmailTo(ann, somebody().email);
    const { tokens } = await signIn(thief, ann.password);
    const token = await undoLinkTo(ann.email);
    const tooCommon = await refusal(undo(token, "password1"));
    expect(tooCommon.violations).toEqual(["new_password PASSWORD_TOO_COMMON"]);
    const newPassword = fresh();
    await undo(token, newPassword);
    const { user } = await signIn(ann.email, newPassword);
    expect(user).toMatchObject({ id: ann.id, email: ann.email, emailConfirmed: true });
    const { refreshToken } = tokens!;
    expect((await refusal(client.refreshSession({ refreshToken }))).reason).toBe("SESSION_ENDED");
    for (const email of [thief, ann.email]) {
      expect(await refusal(signIn(email, ann.password))).toMatchObject(wrong);
    }
    await emailTo(thief, /was undone/);
    await emailTo(ann.email, /password was changed/);
    expect(await refusal(undo(token))).toMatchObject(expired);
  });

  it("cannot keep it by another change, a new password, or signing out everywhere", async () => {
    const ann = await owner();
    const first = await changeEmailTo(ann, somebody().email);
    const token = await undoLinkTo(ann.email);
    const second = await changeEmailTo(ann, somebody().email);
    const byThief = await undoLinkTo(first);
    const { tokens } = await signIn(second, ann.password);
    const { headers } = bearer(tokens!);
    await account.changePassword({ password: ann.password, newPassword: fresh() }, { headers });
    await client.signOutEverywhere({}, { headers });
    await undo(token);
    expect(await refusal(undo(byThief))).toMatchObject(expired);
    expect(await ann.stored()).toMatchObject({ email: ann.email, formerEmails: [] });
  });

  it("cannot keep it by undoing the later of two changes", async () => {
    const ann = await owner();
    const first = await changeEmailTo(ann, somebody().email);
    const token = await undoLinkTo(ann.email);
    await changeEmailTo(ann, somebody().email);
    await undo(await undoLinkTo(first));
    expect((await ann.stored()).email).toBe(first);
    await undo(token);
    expect((await ann.stored()).email).toBe(ann.email);
  });

  it("gets no link to undo the owner's change back", async () => {
    const ann = await owner();
    const thief = await changeEmailTo(ann, somebody().email);
    await changeEmailTo(ann, ann.email);
    expect(await ann.stored()).toMatchObject({ email: ann.email, formerEmails: [] });
    await emailTo(thief, /was undone/);
    expect(
      sentEmails.filter(({ to, subject }) => to === thief && /was changed/.test(subject)),
    ).toEqual([]);
  });

  it("cannot use the old address, like everyone else, while the change can be undone", async () => {
    const ann = await owner();
    await changeEmailTo(ann, somebody().email);
    const squatter = { email: ann.email.toUpperCase(), password: fresh() };
    expect((await refusal(client.signUp(inBody(squatter)))).reason).toBe("EMAIL_TAKEN");
    const bob = await owner();
    expect((await refusal(changeEmailTo(bob, ann.email))).reason).toBe("EMAIL_TAKEN");
    await undo(await undoLinkTo(ann.email));
  });

  it("is discovered when the owner requests a password reset at the old address", async () => {
    const ann = await owner();
    await changeEmailTo(ann, somebody().email);
    const before = sentEmails.length;
    await allSent();
    await account.requestPasswordReset({ email: ann.email });
    const again = () => sentEmails.slice(before).findLast(({ to }) => to === ann.email);
    await undo(tokenIn(await eventually(again, "an email")));
    expect((await ann.stored()).email).toBe(ann.email);
  });
});

describe("the link that undoes an email change", () => {
  it("works for seven days, or for one if the old address was never confirmed, which is then released", async () => {
    const ann = await owner();
    const { email, password } = somebody();
    const { user } = await client.signUp(inBody({ email, password }));
    await changeEmailTo(ann, somebody().email);
    await changeEmailTo({ id: user!.id, password }, somebody().email);
    const [confirmed, never] = [await undoLinkTo(ann.email), await undoLinkTo(email)];
    pass(DAY);
    expect(await refusal(undo(never))).toMatchObject(expired);
    pass(5.9 * DAY);
    expect(await refusal(undo(confirmed, "short"))).toMatchObject({ code: Code.InvalidArgument });
    pass(0.1 * DAY);
    expect(await refusal(undo(confirmed))).toMatchObject(expired);
    pass(-7 * DAY);
    await releaseFormerEmails(users, Date.now() + 7 * DAY);
    expect((await ann.stored()).formerEmails).toEqual([]);
    expect(await refusal(undo(confirmed))).toMatchObject(expired);
    await client.signUp(inBody({ email: ann.email, password: fresh() }));
  });

  it("works after a ban is lifted, and not after the account is deleted", async () => {
    const ann = await owner();
    const thief = await changeEmailTo(ann, somebody().email);
    const token = await undoLinkTo(ann.email);
    await admin.banUser({ userId: ann.id, reason: "x" }, boss);
    expect(await refusal(undo(token))).toMatchObject(expired);
    await admin.unbanUser({ userId: ann.id }, boss);
    const { tokens } = await signIn(thief, ann.password);
    const { headers } = bearer(tokens!);
    await account.deleteAccount({ password: ann.password }, { headers });
    expect(await refusal(undo(token))).toMatchObject(expired);
    expect(JSON.stringify(await ann.stored())).not.toContain(ann.email.split("@")[0]);
    await client.signUp(inBody({ email: ann.email, password: fresh() }));
  });

  it("cannot be forged, and works for one of two concurrent uses", async () => {
    const ann = await owner();
    await changeEmailTo(ann, somebody().email);
    const token = await undoLinkTo(ann.email);
    const [purpose, id, end = "", mac = ""] = token.split(".");
    const forged = [
      ["undo", id, String(Number(end) + 1), mac].join("."),
      [purpose, (await owner()).id, end, mac].join("."),
      [purpose, id, end, mac.slice(1)].join("."),
      links.create("reset", await ann.stored()),
      "undo",
    ];
    for (const one of forged) expect(await refusal(undo(one))).toMatchObject(expired);
    expect(await refusal(account.confirmEmail({ token }))).toMatchObject(expired);
    const reset = account.resetPassword({ token, newPassword: fresh() });
    expect(await refusal(reset)).toMatchObject(expired);
    const both = await Promise.allSettled([undo(token), undo(token)]);
    expect(both.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("is not sent if the change was undone before its email was sent", async () => {
    const ann = await owner();
    await changeEmailTo(ann, somebody().email);
    await undo(await undoLinkTo(ann.email));
    await allSent();
    const before = sentEmails.length;
    await mailQueue.enqueue("moved", ann.email, ann.id);
    await allSent();
    expect(sentEmails.slice(before)).toEqual([]);
  });
});

it("an account can change its email address ten times within the undo period", async () => {
  const ann = await owner();
  for (let i = 0; i < 10; i += 1) await changeEmailTo(ann, somebody().email);
  const refused = await refusal(changeEmailTo(ann, somebody().email));
  expect(refused.reason).toBe("TOO_MANY_ATTEMPTS");
  expect(refused.retryAfterMs).toBeGreaterThan(0);
});
