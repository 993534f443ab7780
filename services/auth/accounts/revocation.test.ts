import { Code } from "@connectrpc/connect";
import { hash } from "@node-rs/argon2";
import { describe, expect, it } from "vitest";
import { refusal } from "#runtime/testing/refusal.ts";
import { bearer, inBody, somebody, testAuth } from "../testing.ts";

// Whatever was started or verified before access was revoked is invalid afterwards.

const auth = await testAuth();
const { client, account, admin, users, sessions, sessionStore, links, attempts } = auth;
const boss = await auth.administrator();

async function member() {
  const found = await auth.member();
  const stored = () => users.findById(found.id).select("+passwordHash").orFail();
  const link = async (purpose: "reset" | "confirm" | "move") =>
    links.create(purpose, await stored());
  return { ...found, stored, link };
}
type Member = Awaited<ReturnType<typeof member>>;

const signIn = ({ email }: Pick<Member, "email">, password: string) =>
  client.signIn(inBody({ email, password }));
const renewal = (refreshToken: string) => refusal(client.refreshSession({ refreshToken }));

const expired = { code: Code.FailedPrecondition, reason: "LINK_EXPIRED" };
const wrong = { code: Code.Unauthenticated, reason: "WRONG_CREDENTIALS" };

/** The changes that revoke access to an account. Each returns the password that is valid afterwards. */
const revocations: Record<string, (who: Member) => Promise<string>> = {
  "a password change": async ({ password, as: options }) => {
    const newPassword = crypto.randomUUID();
    await account.changePassword({ password, newPassword }, options);
    return newPassword;
  },
  "a password reset": async ({ link }) => {
    const newPassword = crypto.randomUUID();
    await account.resetPassword({ token: await link("reset"), newPassword });
    return newPassword;
  },
  "a sign-out everywhere": async ({ password, as: options }) => {
    await client.signOutEverywhere({}, options);
    return password;
  },
  "a ban that is lifted again": async ({ id, password }) => {
    await admin.banUser({ userId: id, reason: "x" }, boss);
    await admin.unbanUser({ userId: id }, boss);
    return password;
  },
};
const deletion = async ({ password, as: options }: Member): Promise<string> => {
  await account.deleteAccount({ password }, options);
  return password;
};

describe("unused links", () => {
  it.each([...Object.entries(revocations), ["a deletion", deletion] as const])(
    "are invalid after %s, and a pending email change ends",
    async (_, revocation) => {
      const ann = await member();
      const newEmail = somebody().email;
      await account.changeEmail({ password: ann.password, newEmail }, ann.as);
      const [move, confirm, reset] = await Promise.all(
        (["move", "confirm", "reset"] as const).map(ann.link),
      );
      await revocation(ann);
      for (const token of [move!, confirm!]) {
        expect(await refusal(account.confirmEmail({ token }))).toMatchObject(expired);
      }
      const again = { token: reset!, newPassword: crypto.randomUUID() };
      expect(await refusal(account.resetPassword(again))).toMatchObject(expired);
      const { email, newEmail: pending } = await ann.stored();
      expect(email).not.toBe(newEmail);
      expect(pending).toBeUndefined();
    },
  );

  it("do not change an address after its owner has confirmed it", async () => {
    const thief = await member(); // With the address of a stranger.
    const newEmail = somebody().email;
    await account.changeEmail({ password: thief.password, newEmail }, thief.as);
    const move = await thief.link("move");
    await account.confirmEmail({ token: await thief.link("confirm") });
    expect(await refusal(account.confirmEmail({ token: move }))).toMatchObject(expired);
    expect((await thief.stored()).email).toBe(thief.email);
  });

  it("stay valid when the password is rehashed", async () => {
    const ann = await member();
    const weak = await hash(ann.password, { memoryCost: 8_192, timeCost: 1, parallelism: 1 });
    await users.updateOne({ _id: ann.id }, { $set: { passwordHash: weak } });
    const token = await ann.link("reset");
    await signIn(ann, ann.password);
    await account.resetPassword({ token, newPassword: crypto.randomUUID() });
  });
});

describe("a concurrent sign-in", () => {
  /** Does something once, just before or after a session is stored. */
  function concurrently(when: "before" | "after", revocation: () => Promise<unknown>): void {
    const { start } = sessionStore;
    sessionStore.start = async (...args) => {
      sessionStore.start = start;
      if (when === "before") await revocation();
      const session = await start(...args);
      if (when === "after") await revocation();
      return session;
    };
  }

  const moments = ["before", "after"] as const;
  it.each(moments.flatMap((when) => Object.keys(revocations).map((name) => [name, when] as const)))(
    "leaves no session that survives %s %s it is stored",
    async (name, when) => {
      const ann = await member();
      let password = "";
      concurrently(when, async () => (password = await revocations[name]!(ann)));
      const outcome = await signIn(ann, ann.password).catch(() => undefined);
      // If the password is still valid, the sign-in counts as one after the revocation.
      expect(outcome !== undefined).toBe(password === ann.password);
      const remaining = await sessions.find({ userId: ann.id }).lean();
      const kept = name === "a password change" ? [ann.tokens.refreshToken] : [];
      const after = outcome ? [outcome.tokens!.refreshToken] : [];
      const tokens = [...kept, ...after].map((token) => sessionStore.sessionIdOf(token));
      expect(remaining.map(({ _id }) => _id).toSorted()).toEqual(tokens.toSorted());
    },
  );

  it("fails if the account is banned or deleted just before the session is stored", async () => {
    const [ann, bob] = [await member(), await member()];
    concurrently("before", () => admin.banUser({ userId: ann.id, reason: "x" }, boss));
    expect((await refusal(signIn(ann, ann.password))).reason).toBe("BANNED");
    concurrently("before", () => deletion(bob));
    expect(await refusal(signIn(bob, bob.password))).toMatchObject(wrong);
    expect(await sessions.countDocuments({ userId: { $in: [ann.id, bob.id] } })).toBe(0);
  });

  it("with the old password during a reset leaves no session, in each of 5 rounds", async () => {
    for (let round = 0; round < 5; round += 1) {
      const ann = await member();
      const token = await ann.link("reset");
      const signIns = Array.from({ length: 6 }, () => signIn(ann, ann.password));
      const reset = account.resetPassword({ token, newPassword: crypto.randomUUID() });
      const outcomes = await Promise.allSettled(signIns);
      await reset;
      for (const outcome of outcomes) {
        if (outcome.status === "rejected") continue;
        const { refreshToken } = outcome.value.tokens!;
        expect((await renewal(refreshToken)).reason).toBe("SESSION_ENDED");
      }
    }
  });

  it("does not restore the old password by rehashing it", async () => {
    const ann = await member();
    const weak = await hash(ann.password, { memoryCost: 8_192, timeCost: 1, parallelism: 1 });
    await users.updateOne({ _id: ann.id }, { $set: { passwordHash: weak } });
    const { recordSuccess: forgive } = attempts;
    let newPassword = "";
    attempts.recordSuccess = async (...args) => {
      attempts.recordSuccess = forgive;
      newPassword = await revocations["a password reset"]!(ann);
      return forgive(...args);
    };
    expect(await refusal(signIn(ann, ann.password))).toMatchObject(wrong);
    await signIn(ann, newPassword);
  });
});

describe("a session that escaped its deletion", () => {
  it("has ended all the same: it cannot be refreshed, and is not listed", async () => {
    const ann = await member();
    const session = await sessions.findOne({ userId: ann.id }).lean().orFail();
    const newPassword = await revocations["a password reset"]!(ann);
    await sessions.create(session); // As if it had been started concurrently.
    expect((await client.getCurrentUser({}, ann.as)).user).toBeUndefined();
    const { tokens } = await signIn(ann, newPassword);
    const { headers } = bearer(tokens!);
    expect((await client.listSessions({}, { headers })).sessions).toHaveLength(1);
    expect((await account.exportAccount({}, { headers })).sessions).toHaveLength(1);
    expect((await renewal(ann.tokens.refreshToken)).reason).toBe("SESSION_ENDED");
  });
});

it("auth refuses an access token whose session has ended", async () => {
  const ann = await member();
  const newPassword = await revocations["a password reset"]!(ann);
  const { tokens } = await signIn(ann, newPassword);
  const id = sessionStore.sessionIdOf(tokens!.refreshToken)!;
  for (const call of [
    () => client.listSessions({}, ann.as),
    () => client.endSession({ id }, ann.as),
    () => client.signOutEverywhere({}, ann.as),
    () => account.exportAccount({}, ann.as),
    () => account.sendConfirmation({}, ann.as),
  ]) {
    expect((await refusal(call())).reason).toBe("SESSION_ENDED");
  }
  await client.refreshSession({ refreshToken: tokens!.refreshToken });
});

describe("a password that was verified just before a revocation", () => {
  /** Does something after the next call has verified its password. */
  function afterVerification(revocation: () => Promise<unknown>): void {
    const { recordSuccess: forgive } = attempts;
    attempts.recordSuccess = async (...args) => {
      attempts.recordSuccess = forgive;
      await revocation();
      return forgive(...args);
    };
  }
  const password = (who: Member) => ({ password: who.password });
  const calls: Record<string, (who: Member) => Promise<unknown>> = {
    "a password change": (who) =>
      account.changePassword({ ...password(who), newPassword: crypto.randomUUID() }, who.as),
    "an email change": (who) =>
      account.changeEmail({ ...password(who), newEmail: somebody().email }, who.as),
    "a deletion": (who) => account.deleteAccount(password(who), who.as),
  };
  const resets = ["a password reset", "a ban that is lifted again"] as const;
  it.each(
    Object.keys(calls).flatMap((call) => resets.map((revocation) => [call, revocation] as const)),
  )("does not allow %s after %s", async (call, revocation) => {
    const ann = await member();
    let now = "";
    afterVerification(async () => (now = await revocations[revocation]!(ann)));
    expect(await refusal(calls[call]!(ann))).toMatchObject(wrong);
    expect(await ann.stored()).toMatchObject({ status: "ACTIVE", email: ann.email });
    expect((await ann.stored()).newEmail).toBeUndefined();
    expect((await signIn(ann, now)).user?.id).toBe(ann.id);
  });
});

it("an account without a security stamp can sign in and reset its password", async () => {
  const ann = await member();
  const fields = { securityStamp: 1, formerEmails: 1, reservedEmails: 1 } as const;
  await users.collection.updateOne({ _id: ann.id as never }, { $unset: fields });
  await sessions.collection.updateMany({ userId: ann.id }, { $unset: { securityStamp: 1 } });
  const token = await ann.link("reset");
  const { tokens } = await signIn(ann, ann.password);
  await client.refreshSession({ refreshToken: ann.tokens.refreshToken });
  await account.resetPassword({ token, newPassword: crypto.randomUUID() });
  expect((await renewal(tokens!.refreshToken)).reason).toBe("SESSION_ENDED");
});
