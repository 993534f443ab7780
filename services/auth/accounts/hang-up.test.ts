import { describe, expect, it } from "vitest";
import { inBody, somebody, testAuth, tokenIn } from "../testing.ts";

const { client, account, users, member, emailTo } = await testAuth();

/** Makes a call that the client aborts at the moment when the account is stored. */
async function hangUp(call: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
  const connection = new AbortController();
  const { save } = users.prototype;
  users.prototype.save = async function (...args: []) {
    const saved = await save.apply(this, args);
    connection.abort();
    return saved;
  };
  await call(connection.signal)
    .catch(() => undefined)
    .finally(() => (users.prototype.save = save));
  expect(connection.signal.aborted).toBe(true);
}

describe("the email is sent even if the client disconnects after the change, for", () => {
  it("a requested and a confirmed email change", async () => {
    const { email, password, as } = await member();
    const { email: newEmail } = somebody();
    await hangUp((signal) => account.changeEmail({ password, newEmail }, { ...as, signal }));
    await emailTo(email, /about to change/);
    const token = tokenIn(await emailTo(newEmail, /new email address/));
    await hangUp((signal) => account.confirmEmail({ token }, { signal }));
    expect(tokenIn(await emailTo(email, /was changed/))).not.toBe("no token");
  });

  it("a new password, and old sessions end", async () => {
    const { id, email, password, as } = await member();
    const newPassword = crypto.randomUUID();
    await hangUp((signal) => account.changePassword({ password, newPassword }, { ...as, signal }));
    await emailTo(email, /password was changed/);
    expect((await users.findById(id))?.securityStamp).toBe(1);
  });

  it("a new account", async () => {
    const credentials = somebody();
    await hangUp((signal) => client.signUp(inBody(credentials), { signal }));
    await emailTo(credentials.email, /Welcome/);
  });

  it("a deleted account", async () => {
    const { email, password, as } = await member();
    await hangUp((signal) => account.deleteAccount({ password }, { ...as, signal }));
    await emailTo(email, /is deleted/);
  });
});
