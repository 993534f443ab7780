import { parseSetCookie } from "./set-cookie.ts";

// Auth sets the session's cookies, and only auth and the services interpret them. This server carries them
// between the browser and the edge.

/** The cookies' names. Under TLS the prefix pins them to this host: no other subdomain can set them. */
const cookieNames = (secure: boolean) => {
  const prefix = secure ? "__Host-" : "";
  return { access: `${prefix}ticketing_access`, refresh: `${prefix}ticketing_refresh` };
};

/** The session cookies of one request: the browser's, as changed by the responses of the edge. */
export class SessionCookies {
  readonly #values = new Map<string, string>();
  readonly #setCookieLines = new Map<string, string>();
  readonly #names: { access: string; refresh: string };

  /** Whether the renewal failed by a fault of ours, so that it is unknown whether the session has ended. */
  isUncertain = false;

  constructor(get: (name: string) => string | undefined, secure: boolean) {
    this.#names = cookieNames(secure);
    for (const name of Object.values(this.#names)) {
      const value = get(name);
      if (value) this.#values.set(name, value);
    }
  }

  /** The Cookie header for calls to the edge: only these cookies, and no others of this site. */
  get cookieHeader(): string {
    return [...this.#values].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  /** The `Set-Cookie` lines to send on to the browser. */
  get setCookieLines(): string[] {
    return [...this.#setCookieLines.values()];
  }

  get isPresent(): boolean {
    return this.#values.size > 0;
  }

  get accessToken(): string | undefined {
    return this.#values.get(this.#names.access);
  }

  get refreshToken(): string | undefined {
    return this.#values.get(this.#names.refresh);
  }

  /** Applies the cookies of a response, for the rest of this request and for the browser. */
  applySetCookies(lines: readonly string[]): void {
    for (const line of lines) {
      const { name, value, isDeleted } = parseSetCookie(line);
      if (!Object.values(this.#names).includes(name)) continue;
      if (isDeleted) this.#values.delete(name);
      else this.#values.set(name, value);
      this.#setCookieLines.set(name, line);
    }
  }

  /** Ends the session in this browser. */
  clear(): void {
    for (const name of [...this.#values.keys()]) {
      const secure = name.startsWith("__Host-") ? "; Secure" : "";
      this.applySetCookies([`${name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax${secure}`]);
    }
  }
}
