import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { createRegistry, fromBinary } from "@bufbuild/protobuf";
import { timestampDate, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Role, UserStatus } from "@ticketing/proto/auth/v1/user";
import { file_ticketing_auth_v1_user_events as userEvents } from "@ticketing/proto/auth/v1/user_events";
import { describe, expect, inject, it } from "vitest";
import { banEvents } from "#marketplace/catalogue.ts";
import { banSnapshot } from "#runtime/identity/ban-snapshot.ts";
import { newId } from "#runtime/store/ids.ts";
import { refusal } from "#runtime/testing/refusal.ts";
import { silent } from "#runtime/testing/log.ts";
import { liftExpiredBans } from "./ban.ts";
import { recentBans } from "./recent-bans.ts";
import { banSnapshotWriter } from "./ban-snapshot.ts";
import { from, inBody, somebody, testAuth } from "../testing.ts";

const auth = await testAuth();
const { client, account, admin, users, sessions, redis } = auth;
const boss = await auth.administrator();

async function person() {
  const credentials = inBody(somebody());
  const { user, tokens } = await client.signUp(credentials, from(newId()));
  return { id: user!.id, credentials, refreshToken: tokens!.refreshToken };
}

const registry = createRegistry(userEvents);
async function told(id: string) {
  const { outbox } = await users.findById(id).orFail();
  return outbox.map(({ type, payload }) => ({
    type: type.replace(/.*\./, ""),
    ...(fromBinary(registry.getMessage(type)!, new Uint8Array(payload)) as object),
  }));
}

describe("a ban", () => {
  it("is recorded, ends all sessions, and refuses sign-in and renewal", async () => {
    const { id, credentials, refreshToken } = await person();
    const { user } = await admin.banUser({ userId: id, reason: "forged" }, boss);
    expect(user).toMatchObject({ banReason: "forged", user: { status: UserStatus.BANNED } });
    expect((await told(id)).at(-1)).toMatchObject({
      type: "UserBanned",
      user: { id, status: UserStatus.BANNED, version: 2n },
    });
    expect(await sessions.countDocuments({ userId: id })).toBe(0);
    const again = () => client.signIn(credentials, from(newId()));
    expect((await refusal(again())).reason).toBe("BANNED");
    expect((await refusal(client.refreshSession({ refreshToken }))).reason).toBe("SESSION_ENDED");

    const lifted = await admin.unbanUser({ userId: id }, boss);
    expect(lifted.user).toMatchObject({ banReason: "", user: { version: 3n } });
    expect((await told(id)).at(-1)).toMatchObject({ type: "UserUnbanned", user: { version: 3n } });
    expect((await again()).user?.id).toBe(id);
    await admin.unbanUser({ userId: id }, boss);
    expect(await told(id)).toHaveLength(3);
  });

  it("with an end is over on time, at sign-in or by itself, once, and no other ban with it", async () => {
    const [one, two, other] = [await person(), await person(), await person()];
    const endsAt = timestampFromMs(Date.now() + 3_000);
    for (const { id } of [one, two]) await admin.banUser({ userId: id, reason: "x", endsAt }, boss);
    await admin.banUser({ userId: other.id, reason: "x" }, boss);
    expect((await refusal(client.signIn(one.credentials, from(newId())))).reason).toBe("BANNED");
    const end = timestampDate(endsAt).getTime();
    while (Date.now() <= end) await new Promise((resolve) => setTimeout(resolve, 10));
    expect((await client.signIn(one.credentials, from(newId()))).user?.status).toBe(
      UserStatus.ACTIVE,
    );
    await Promise.all([liftExpiredBans(users, Date.now()), liftExpiredBans(users, Date.now())]);
    const types = async (id: string) => (await told(id)).map(({ type }) => type);
    const life = ["UserCreated", "UserBanned", "UserUnbanned"];
    expect(await types(one.id)).toEqual(life);
    expect(await types(two.id)).toEqual(life);
    expect((await users.findById(other.id).orFail()).status).toBe("BANNED");
  });

  it("set anew has the new reason and end", async () => {
    const { id } = await person();
    await admin.banUser(
      { userId: id, reason: "x", endsAt: timestampFromMs(Date.now() + 30_000) },
      boss,
    );
    await admin.banUser({ userId: id, reason: "worse" }, boss);
    await liftExpiredBans(users, Date.now() + 60_000);
    const { users: found } = await admin.listUsers({ status: UserStatus.BANNED }, boss);
    expect(found[0]).toMatchObject({ banReason: "worse", user: { id } });
    expect(found[0]?.banEndsAt).toBeUndefined();
  });

  it.each([
    ["of nobody", () => ({ userId: newId(), reason: "x" }), "USER_NOT_FOUND"],
    [
      "that has ended",
      () => ({ userId: newId(), reason: "x", endsAt: timestampFromMs(1) }),
      undefined,
    ],
  ])("%s is refused", async (_, request, reason) => {
    const refused = await refusal(admin.banUser(request(), boss));
    expect(refused.reason).toBe(reason);
    if (!reason) expect(refused.violations).toEqual(["ends_at"]);
  });

  it.each(["ban", "unban"] as const)(
    "does not revive an account that was deleted before, nor does its end (%s first)",
    async (first) => {
      const { id, credentials } = await person();
      const { tokens } = await client.signIn(credentials, from(newId()));
      const headers = { authorization: `Bearer ${tokens!.accessToken}` };
      await account.deleteAccount({ password: credentials.password }, { headers });
      const ban = () => admin.banUser({ userId: id, reason: "x" }, boss);
      const unban = () => admin.unbanUser({ userId: id }, boss);
      for (const call of first === "ban" ? [ban, unban] : [unban, ban, unban]) {
        expect(await refusal(call())).toMatchObject({ reason: "USER_NOT_FOUND" });
      }
      await liftExpiredBans(users, Date.now() + 60_000);
      const { status, version } = await users.findById(id).orFail();
      expect(status).toBe("DELETED");
      expect((await told(id)).map(({ type }) => type)).toEqual(["UserCreated", "UserDeleted"]);
      const all = await recentBans(users, Date.now());
      expect(all).toContainEqual(
        expect.objectContaining({ userId: id, version, banned: true, deleted: true }),
      );
    },
  );

  it("of oneself is refused", async () => {
    const call = admin.banUser({ userId: boss.id, reason: "x" }, boss);
    expect((await refusal(call)).reason).toBe("OWN_ACCOUNT");
  });
});

it("is the administrators' alone", async () => {
  const { credentials } = await person();
  const { tokens } = await client.signIn(credentials, from(newId()));
  const anyone = { headers: { authorization: `Bearer ${tokens!.accessToken}` } };
  const calls = [
    () => admin.listUsers({}, anyone),
    () => admin.banUser({ userId: newId(), reason: "x" }, anyone),
    () => admin.unbanUser({ userId: newId() }, anyone),
  ];
  for (const call of calls) expect((await refusal(call())).reason).toBe("NOT_ALLOWED");
});

it("is theirs no longer when their session has ended, or the role is gone, whatever their token says", async () => {
  const { id } = await person();
  const [robbed, demoted] = [await auth.administrator(), await auth.administrator()];
  await client.signOutEverywhere({}, robbed);
  await users.updateOne({ _id: demoted.id }, { $set: { roles: [] } });
  for (const [who, reason] of [
    [robbed, "SESSION_ENDED"],
    [demoted, "NOT_ALLOWED"],
  ] as const) {
    for (const call of [
      () => admin.listUsers({}, who),
      () => admin.banUser({ userId: id, reason: "x" }, who),
      () => admin.unbanUser({ userId: id }, who),
    ]) {
      expect((await refusal(call())).reason).toBe(reason);
    }
  }
  expect((await users.findById(id).orFail()).status).toBe("ACTIVE");
});

it("lists users by pages, the newest first, and finds one by the address in any case", async () => {
  const { id, credentials } = await person();
  const { users: found } = await admin.listUsers({ email: credentials.email.toUpperCase() }, boss);
  expect(found.map(({ user }) => user?.id)).toEqual([id]);
  await person();
  const first = await admin.listUsers({ pageSize: 1 }, boss);
  const second = await admin.listUsers({ pageSize: 1, pageToken: first.nextPageToken }, boss);
  expect(second.users[0]?.user?.id).toBe(id);
});

it("writes bans to Redis before they are told, and all anew where Redis was emptied", async () => {
  const { id } = await person();
  await admin.banUser({ userId: id, reason: "x" }, boss);
  const writer = banSnapshotWriter({ users, redis, events: banEvents, log: silent });
  const snapshot = banSnapshot(redis);
  const find = async () => (await snapshot.load())?.find(({ userId }) => userId === id);
  await redis.del("bans");
  await writer.repair();
  expect(await find()).toMatchObject({ version: 2, banned: true });
  await redis.del("bans");
  await writer.repair();
  expect(await find()).toMatchObject({ version: 2, banned: true });
  await admin.unbanUser({ userId: id }, boss);
  const last = (await users.findById(id).orFail()).outbox.at(-1)!;
  await writer.writeBeforePublish(last.type, new Uint8Array(last.payload));
  expect(await find()).toMatchObject({ version: 3, banned: false });
  expect((await recentBans(users, Date.now())).map(({ userId }) => userId)).toContain(id);
});

describe("the first administrator", () => {
  const command = join(import.meta.dirname, "../administrator.ts");
  const uri = inject("parts").mongoUrl.replace("/DATABASE?", `/${users.db.name}?`);
  const run = (...args: string[]) =>
    promisify(execFile)(process.execPath, [command, ...args], {
      env: { ...process.env, MONGODB_URI: uri },
    });

  it("is made of an account by a command, which ends its sessions", async () => {
    const { id, credentials } = await person();
    const { stdout } = await run(credentials.email.toLowerCase());
    expect(stdout).toContain(`(${id}, version 2) is an administrator now. Ended 1 session:`);
    expect((await told(id)).at(-1)).toMatchObject({
      type: "UserUpdated",
      user: { roles: [Role.ADMINISTRATOR], version: 2n },
    });
    const { user } = await client.signIn(credentials, from(newId()));
    expect(user?.roles).toEqual([Role.ADMINISTRATOR]);
    expect((await run(credentials.email)).stdout).toContain("already");
  });

  it("is not made of an address that nobody has", async () => {
    await expect(run("nobody@example.com")).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining("no account") as string,
    });
  });
});
