import { describe, expect, it } from "vitest";
import { SessionCookies } from "./session-cookies.ts";

const cookies = (sent: Record<string, string>, secure = false) =>
  new SessionCookies((name) => sent[name], secure);

describe("SessionCookies", () => {
  it("sends only the session's cookies to the edge", () => {
    expect(
      cookies({ ticketing_access: "a", ticketing_refresh: "r", other: "x" }).cookieHeader,
    ).toBe("ticketing_access=a; ticketing_refresh=r");
  });

  it("applies new cookies at once and passes every line on unchanged", () => {
    const session = cookies({ ticketing_access: "old", ticketing_refresh: "old" });
    const lines = [
      "ticketing_access=new; Path=/; HttpOnly; SameSite=Lax; Max-Age=300",
      "ticketing_refresh=next; Path=/; HttpOnly; SameSite=Lax",
      "tracking=1; Path=/",
    ];
    session.applySetCookies(lines);
    expect(session.accessToken).toBe("new");
    expect(session.refreshToken).toBe("next");
    expect(session.setCookieLines).toEqual(lines.slice(0, 2));
  });

  it("reads only the cookies that are pinned to the host under TLS", () => {
    const sent = { ticketing_access: "plain", "__Host-ticketing_access": "pinned" };
    expect(cookies(sent, true).accessToken).toBe("pinned");
    expect(cookies(sent, true).cookieHeader).toBe("__Host-ticketing_access=pinned");
    expect(cookies(sent, false).accessToken).toBe("plain");
    expect(cookies({ ticketing_access: "planted" }, true).isPresent).toBe(false);
  });

  it("drops a cookie that a response deletes by age, by date or by an empty value", () => {
    for (const end of ["x; Max-Age=0", "x; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "; Path=/"]) {
      const session = cookies({ ticketing_access: "a" });
      session.applySetCookies([`ticketing_access=${end}`]);
      expect(session.isPresent).toBe(false);
    }
  });

  it("deletes a __Host- cookie with Secure, which browsers require", () => {
    const session = cookies({ "__Host-ticketing_refresh": "r" }, true);
    session.clear();
    expect(session.setCookieLines).toEqual([
      "__Host-ticketing_refresh=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure",
    ]);
  });
});
