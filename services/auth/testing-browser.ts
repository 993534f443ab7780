import { ConnectError, type Client } from "@connectrpc/connect";
import type { AuthService } from "@ticketing/proto/auth/v1/auth_service";
import { somebody } from "./testing.ts";

/** Browsers that call a service of auth, or another one where that is said. */
export function browserOf(client: Client<typeof AuthService>) {
  /** A browser's cookies: it sends what it was given, and forgets what it was told to forget. */
  function browser(asked = client) {
    const jar = new Map<string, string>();
    let lines: string[] = [];
    function take(headers: Headers): void {
      lines = headers.getSetCookie();
      for (const line of lines) {
        const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
        if (line.includes("Max-Age=0;")) jar.delete(name);
        else jar.set(name, value);
      }
    }
    const sent = (): Record<string, string> =>
      jar.size > 0
        ? { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join("; ") }
        : {};
    type Method = "signUp" | "signIn" | "signOut" | "refreshSession" | "getCurrentUser";
    async function call(method: Method, request: object = {}, headers: object = {}) {
      const options = { headers: { ...sent(), ...headers }, onHeader: take };
      const answer = asked[method](request as never, options);
      return answer.catch((error: unknown) => {
        take(ConnectError.from(error).metadata);
        throw error;
      }) as Promise<{ user?: { id: string }; tokens?: object }>;
    }
    return { call, jar, lines: () => lines };
  }

  /** Somebody with a session in a browser. */
  async function signedIn(asked = client) {
    const visitor = browser(asked);
    const who = somebody();
    const { user } = await visitor.call("signUp", who);
    return { ...visitor, who, id: user?.id ?? "" };
  }

  return { browser, signedIn };
}
