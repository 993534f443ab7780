import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "@ticketing/proto/web-google/rpc/error_details";
import { Role } from "@ticketing/proto/web/auth/v1/user";
import { expect, it, vi } from "vitest";
import type { Api } from "#lib/server/api/api.ts";
import { SessionCookies } from "./session-cookies.ts";
import { authenticate } from "./request-session.ts";

const token = (seconds: number) => {
  const claims = { sub: "user-1", exp: Date.now() / 1000 + seconds };
  return `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;
};
const [unexpired, expired] = [token(300), token(-60)];
const known = { id: "user-1", email: "a@example.com", emailConfirmed: false, roles: [] as Role[] };

const cookies = (access: string) => {
  const sent: Record<string, string> = { ticketing_access: access, ticketing_refresh: "old" };
  return new SessionCookies((name) => sent[name], false);
};
const errorWith = (reason: string) =>
  new ConnectError("no", Code.Unauthenticated, undefined, [
    { desc: ErrorInfoSchema, value: create(ErrorInfoSchema, { reason, domain: "ticketing" }) },
  ]);

/** Auth as this request meets it; a renewal sets both cookies. */
function auth(session: SessionCookies, users: (typeof known | undefined)[]) {
  const refreshSession = vi.fn(async () => {
    session.applySetCookies([
      `ticketing_access=${unexpired}; Path=/`,
      "ticketing_refresh=next; Path=/",
    ]);
  });
  const getCurrentUser = vi.fn(async () => ({ user: users.shift() }));
  const api = { auth: { refreshSession, getCurrentUser } } as unknown as Api;
  return { api, refreshSession, getCurrentUser };
}

it("renews an expired token once and passes every cookie on", async () => {
  const session = cookies(expired);
  const { api, refreshSession } = auth(session, [known]);
  expect(await authenticate(api, session)).toMatchObject({ id: "user-1", emailConfirmed: false });
  expect(refreshSession).toHaveBeenCalledTimes(1);
  expect(session.setCookieLines).toHaveLength(2);
});

it("does not renew an unexpired token", async () => {
  const session = cookies(unexpired);
  const { api, refreshSession } = auth(session, [{ ...known, roles: [Role.ADMINISTRATOR] }]);
  expect(await authenticate(api, session)).toMatchObject({ isAdministrator: true });
  expect(refreshSession).not.toHaveBeenCalled();
  expect(session.setCookieLines).toEqual([]);
});

it("renews no more than once, even if auth does not accept the new token either", async () => {
  for (const access of [expired, unexpired]) {
    const session = cookies(access);
    const { api, refreshSession } = auth(session, []);
    expect(await authenticate(api, session)).toBeUndefined();
    expect(refreshSession).toHaveBeenCalledTimes(1);
  }
});

it.each(["SESSION_ENDED", "BANNED"])(
  "deletes the cookies of a session that auth refuses with %s",
  async (reason) => {
    const session = cookies(expired);
    const { api, refreshSession } = auth(session, []);
    refreshSession.mockRejectedValue(errorWith(reason));
    expect(await authenticate(api, session)).toBeUndefined();
    expect(session.isPresent).toBe(false);
  },
);

it("keeps the session and its user while auth is unavailable", async () => {
  const session = cookies(unexpired);
  const { api, getCurrentUser } = auth(session, []);
  getCurrentUser.mockRejectedValue(new ConnectError("down", Code.Unavailable));
  expect(await authenticate(api, session)).toEqual({ id: "user-1" });
  expect(session.isPresent).toBe(true);
});
