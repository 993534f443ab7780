import { describe, expect, it } from "vitest";
import { eventually } from "#runtime/testing/eventually.ts";
import { inBody, somebody, testAuth } from "./testing.ts";

const { client, account, users, sentEmails } = await testAuth();

async function member() {
  const credentials = somebody();
  const { user, tokens } = await client.signUp(inBody(credentials));
  const headers = { authorization: `Bearer ${tokens!.accessToken}` };
  return { ...credentials, id: user!.id, headers };
}

/** Makes a call whose caller hangs up in the moment in which the account is stored. */
async function hangUp(call: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const caller = new AbortController();
  const { save } = users.prototype;
  users.prototype.save = async function (...args: []) {
    const saved = await save.apply(this, args);
    caller.abort();
    return saved;
  };
  await call(caller.signal)
    .catch(() => undefined)
    .finally(() => (users.prototype.save = save));
  expect(caller.signal.aborted).toBe(true);
}

const mailTo = (to: string, subject: RegExp) =>
  eventually(
    () => sentEmails.findLast((mail) => mail.to === to && subject.test(mail.subject)),
    `the mail to ${to}`,
  );
const tokenIn = ({ text }: { text: string }): string => /token=(\S+)/.exec(text)?.[1] ?? "";

describe("whoever hangs up once it is stored keeps nobody from being told of", () => {
  it("a move that was begun, and a move that was made", async () => {
    const { email, password, headers } = await member();
    const { email: newEmail } = somebody();
    await hangUp((signal) => account.changeEmail({ password, newEmail }, { headers, signal }));
    await mailTo(email, /about to change/);
    const token = tokenIn(await mailTo(newEmail, /new email address/));
    await hangUp((signal) => account.confirmEmail({ token }, { signal }));
    expect(tokenIn(await mailTo(email, /was changed/))).not.toBe("");
  });

  it("a new password, whose sessions of before end", async () => {
    const { id, email, password, headers } = await member();
    const newPassword = crypto.randomUUID();
    await hangUp((signal) =>
      account.changePassword({ password, newPassword }, { headers, signal }),
    );
    await mailTo(email, /password was changed/);
    expect((await users.findById(id))?.securityStamp).toBe(1);
  });

  it("a new account", async () => {
    const credentials = somebody();
    await hangUp((signal) => client.signUp(inBody(credentials), { signal }));
    await mailTo(credentials.email, /Welcome/);
  });

  it("an account that is deleted", async () => {
    const { email, password, headers } = await member();
    await hangUp((signal) => account.deleteAccount({ password }, { headers, signal }));
    await mailTo(email, /is deleted/);
  });
});
