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
import { silentLog } from "#runtime/testing/log.ts";
import { liftExpiredBans } from "./ban.ts";
import { recentBans } from "./recent-bans.ts";
import { banSnapshotWriter } from "./ban-snapshot.ts";
import { from, inBody, somebody, testAuth } from "../testing.ts";

const auth = await testAuth();
const { client, account, admin, users, sessions, redis } = auth;
const boss = await auth.administrator();

async function member() {
  const credentials = inBody(somebody());
  const { user, tokens } = await client.signUp(credentials, from(newId()));
  return { id: user!.id, credentials, refreshToken: tokens!.refreshToken };
}

const registry = createRegistry(userEvents);
async function recordedEvents(id: string) {
  const { outbox } = await users.findById(id).orFail();
  return outbox.map(({ type, payload }) => ({
    type: type.replace(/.*\./, ""),
    ...(fromBinary(registry.getMessage(type)!, new Uint8Array(payload)) as object),
  }));
}

describe("a ban", () => {
  it("is recorded, ends all sessions, and refuses sign-in and renewal", async () => {
    const { id, credentials, refreshToken } = await member();
    const { user } = await admin.banUser({ userId: id, reason: "forged" }, boss);
    expect(user).toMatchObject({ banReason: "forged", user: { status: UserStatus.BANNED } });
    expect((await recordedEvents(id)).at(-1)).toMatchObject({
      type: "UserBanned",
      user: { id, status: UserStatus.BANNED, version: 2n },
    });
    expect(await sessions.countDocuments({ userId: id })).toBe(0);
    const again = () => client.signIn(credentials, from(newId()));
    expect((await refusal(again())).reason).toBe("BANNED");
    expect((await refusal(client.refreshSession({ refreshToken }))).reason).toBe("SESSION_ENDED");

    const lifted = await admin.unbanUser({ userId: id }, boss);
    expect(lifted.user).toMatchObject({ banReason: "", user: { version: 3n } });
    expect((await recordedEvents(id)).at(-1)).toMatchObject({
      type: "UserUnbanned",
      user: { version: 3n },
    });
    expect((await again()).user?.id).toBe(id);
    await admin.unbanUser({ userId: id }, boss);
    expect(await recordedEvents(id)).toHaveLength(3);
  });

  it("with an end is lifted once, at sign-in or by a sweep, without affecting other bans", async () => {
    const [one, two, other] = [await member(), await member(), await member()];
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
    const types = async (id: string) => (await recordedEvents(id)).map(({ type }) => type);
    const life = ["UserCreated", "UserBanned", "UserUnbanned"];
    expect(await types(one.id)).toEqual(life);
    expect(await types(two.id)).toEqual(life);
    expect((await users.findById(other.id).orFail()).status).toBe("BANNED");
  });

  it("that is set again has the new reason and end", async () => {
    const { id } = await member();
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
    ["of an unknown user", () => ({ userId: newId(), reason: "x" }), "USER_NOT_FOUND"],
    [
      "with an end in the past",
      () => ({ userId: newId(), reason: "x", endsAt: timestampFromMs(1) }),
      undefined,
    ],
  ])("%s is refused", async (_, request, reason) => {
    const refused = await refusal(admin.banUser(request(), boss));
    expect(refused.reason).toBe(reason);
    if (!reason) expect(refused.violations).toEqual(["ends_at"]);
  });

  it.each(["ban", "unban"] as const)(
    "and its end do not restore a deleted account (%s first)",
    async (first) => {
      const { id, credentials } = await member();
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
      expect((await recordedEvents(id)).map(({ type }) => type)).toEqual([
        "UserCreated",
        "UserDeleted",
      ]);
      const all = await recentBans(users, Date.now());
      expect(all).toContainEqual(
        expect.objectContaining({ userId: id, version, banned: true, deleted: true }),
      );
    },
  );

  it("of one's own account is refused", async () => {
    const call = admin.banUser({ userId: boss.id, reason: "x" }, boss);
    expect((await refusal(call)).reason).toBe("OWN_ACCOUNT");
  });
});

it("users cannot administer others without the role", async () => {
  const { credentials } = await member();
  const { tokens } = await client.signIn(credentials, from(newId()));
  const anyone = { headers: { authorization: `Bearer ${tokens!.accessToken}` } };
  const calls = [
    () => admin.listUsers({}, anyone),
    () => admin.banUser({ userId: newId(), reason: "x" }, anyone),
    () => admin.unbanUser({ userId: newId() }, anyone),
  ];
  for (const call of calls) expect((await refusal(call())).reason).toBe("NOT_ALLOWED");
});

it("administrators are refused once their session has ended or their role is removed, despite a valid token", async () => {
  const { id } = await member();
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

it("users are listed in pages, the newest first, and found by an address in any case", async () => {
  const { id, credentials } = await member();
  const { users: found } = await admin.listUsers({ email: credentials.email.toUpperCase() }, boss);
  expect(found.map(({ user }) => user?.id)).toEqual([id]);
  await member();
  const first = await admin.listUsers({ pageSize: 1 }, boss);
  const second = await admin.listUsers({ pageSize: 1, pageToken: first.nextPageToken }, boss);
  expect(second.users[0]?.user?.id).toBe(id);
});

it("the ban snapshot is written before a ban is published, and rewritten after Redis was emptied", async () => {
  const { id } = await member();
  await admin.banUser({ userId: id, reason: "x" }, boss);
  const writer = banSnapshotWriter({ users, redis, events: banEvents, log: silentLog });
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

  it("is created from an account by a command, which ends its sessions", async () => {
    const { id, credentials } = await member();
    const { stdout } = await run(credentials.email.toLowerCase());
    expect(stdout).toContain(`(${id}, version 2) is an administrator now. Ended 1 session:`);
    expect((await recordedEvents(id)).at(-1)).toMatchObject({
      type: "UserUpdated",
      user: { roles: [Role.ADMINISTRATOR], version: 2n },
    });
    const { user } = await client.signIn(credentials, from(newId()));
    expect(user?.roles).toEqual([Role.ADMINISTRATOR]);
    expect((await run(credentials.email)).stdout).toContain("already");
  });

  it("cannot be created from an address without an account", async () => {
    await expect(run("nobody@example.com")).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining("no account") as string,
    });
  });
});
