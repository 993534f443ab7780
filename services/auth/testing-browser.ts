import { ConnectError, type Client } from "@connectrpc/connect";
import type { AuthService } from "@ticketing/proto/auth/v1/auth_service";
import { somebody } from "./testing.ts";

type Method = "signUp" | "signIn" | "signOut" | "refreshSession" | "getCurrentUser";

/** Browsers that call auth through a client, or through another client where one is given. */
export function browserOf(client: Client<typeof AuthService>) {
  /** A browser with a cookie jar: it sends the cookies that were set, and drops those that expired. */
  function browser(target = client) {
    const jar = new Map<string, string>();
    let lines: string[] = [];
    function storeCookies(headers: Headers): void {
      lines = headers.getSetCookie();
      for (const line of lines) {
        const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
        if (line.includes("Max-Age=0;")) jar.delete(name);
        else jar.set(name, value);
      }
    }
    const cookieHeader = (): Record<string, string> =>
      jar.size > 0
        ? { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join("; ") }
        : {};
    async function call(method: Method, request: object = {}, headers: object = {}) {
      const options = { headers: { ...cookieHeader(), ...headers }, onHeader: storeCookies };
      const response = target[method](request as never, options);
      return response.catch((error: unknown) => {
        storeCookies(ConnectError.from(error).metadata);
        throw error;
      }) as Promise<{ user?: { id: string }; tokens?: object }>;
    }
    return { call, jar, lines: () => lines };
  }

  /** A browser with a signed-in user. */
  async function signedIn(target = client) {
    const signedUp = browser(target);
    const who = somebody();
    const { user } = await signedUp.call("signUp", who);
    return { ...signedUp, who, id: user?.id ?? "" };
  }

  return { browser, signedIn };
}
