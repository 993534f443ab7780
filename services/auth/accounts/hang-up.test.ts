import { describe, expect, it } from "vitest";
import { inBody, somebody, testAuth, tokenIn } from "../testing.ts";

const { client, account, users, member, emailTo } = await testAuth();

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

describe("whoever hangs up once it is stored keeps nobody from being told of", () => {
  it("a move that was begun, and a move that was made", async () => {
    const { email, password, as } = await member();
    const { email: newEmail } = somebody();
    await hangUp((signal) => account.changeEmail({ password, newEmail }, { ...as, signal }));
    await emailTo(email, /about to change/);
    const token = tokenIn(await emailTo(newEmail, /new email address/));
    await hangUp((signal) => account.confirmEmail({ token }, { signal }));
    expect(tokenIn(await emailTo(email, /was changed/))).not.toBe("no token");
  });

  it("a new password, whose sessions of before end", async () => {
    const { id, email, password, as } = await member();
    const newPassword = crypto.randomUUID();
    await hangUp((signal) =>
      account.changePassword({ password, newPassword }, { ...as, signal }),
    );
    await emailTo(email, /password was changed/);
    expect((await users.findById(id))?.securityStamp).toBe(1);
  });

  it("a new account", async () => {
    const credentials = somebody();
    await hangUp((signal) => client.signUp(inBody(credentials), { signal }));
    await emailTo(credentials.email, /Welcome/);
  });

  it("an account that is deleted", async () => {
    const { email, password, as } = await member();
    await hangUp((signal) => account.deleteAccount({ password }, { ...as, signal }));
    await emailTo(email, /is deleted/);
  });
});
