import { describe, expect, it } from "vitest";
import { SessionCookies, isUnexpired, decodeAccessToken } from "./session-cookies.ts";

const token = (claims: object) =>
  `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.c2ln`;
const cookies = (sent: Record<string, string>, secure = false) =>
  new SessionCookies((name) => sent[name], secure);

describe("SessionCookies", () => {
  it("sends the session's cookies to the edge, and no others", () => {
    expect(cookies({ ticketing_access: "a", ticketing_refresh: "r", other: "x" }).header).toBe(
      "ticketing_access=a; ticketing_refresh=r",
    );
  });

  it("uses new cookies at once and hands every line on as it came", () => {
    const session = cookies({ ticketing_access: "old", ticketing_refresh: "old" });
    const lines = [
      "ticketing_access=new; Path=/; HttpOnly; SameSite=Lax; Max-Age=300",
      "ticketing_refresh=next; Path=/; HttpOnly; SameSite=Lax",
      "tracking=1; Path=/",
    ];
    session.take(lines);
    expect(session.access).toBe("new");
    expect(session.refresh).toBe("next");
    expect(session.changes).toEqual(lines.slice(0, 2));
  });

  it("knows one name of each cookie: under TLS the one that is pinned to the host", () => {
    const sent = { ticketing_access: "plain", "__Host-ticketing_access": "pinned" };
    expect(cookies(sent, true).access).toBe("pinned");
    expect(cookies(sent, true).header).toBe("__Host-ticketing_access=pinned");
    expect(cookies(sent, false).access).toBe("plain");
    expect(cookies({ ticketing_access: "planted" }, true).any).toBe(false);
  });

  it("drops what an answer deletes, by age, by date or by emptiness", () => {
    for (const end of ["x; Max-Age=0", "x; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "; Path=/"]) {
      const session = cookies({ ticketing_access: "a" });
      session.take([`ticketing_access=${end}`]);
      expect(session.any).toBe(false);
    }
  });

  it("keeps the __Host- form Secure when it forgets, or the browser would ignore it", () => {
    const session = cookies({ "__Host-ticketing_refresh": "r" }, true);
    session.forget();
    expect(session.changes).toEqual([
      "__Host-ticketing_refresh=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure",
    ]);
  });
});

describe("an access token", () => {
  it("is over a little before it ends", () => {
    const ends = token({ sub: "u", exp: 1000 });
    expect(isUnexpired(ends, 990_000)).toBe(true);
    expect(isUnexpired(ends, 996_000)).toBe(false);
  });

  it.each([undefined, "", "garbage", "a.b.c", token({ exp: 1 }), token({ sub: "u", exp: "1" })])(
    "counts as absent where it cannot be read: %j",
    (broken) => {
      expect(decodeAccessToken(broken)).toBeUndefined();
      expect(isUnexpired(broken)).toBe(false);
    },
  );
});
