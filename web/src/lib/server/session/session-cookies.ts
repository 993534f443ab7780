import { parseSetCookie } from "./set-cookie.ts";

// Auth sets the cookies, and only auth makes sense of them. This server carries them between the
// browser and the edge, reads when the access token ends, and never trusts anything in it.

/** Under TLS only cookies count that are pinned to this host: no other site of the domain can set them. */
const namesOf = (secure: boolean) => {
  const prefix = secure ? "__Host-" : "";
  return { access: `${prefix}ticketing_access`, refresh: `${prefix}ticketing_refresh` };
};

/** So much before its end a token counts as over: a call takes its time, and clocks differ. */
const MARGIN_MS = 5_000;

/** The session cookies of one request: those that came, as changed by every answer of the edge. */
export class SessionCookies {
  readonly #values = new Map<string, string>();
  readonly #changes = new Map<string, string>();

  readonly #names: { access: string; refresh: string };

  /** Whether a fault of ours kept it from being renewed: nobody knows whether it has ended. */
  isUncertain = false;

  constructor(get: (name: string) => string | undefined, secure: boolean) {
    this.#names = namesOf(secure);
    for (const name of Object.values(this.#names)) {
      const value = get(name);
      if (value) this.#values.set(name, value);
    }
  }

  /** For calls to the edge: these cookies alone, whatever else the browser keeps for this site. */
  get header(): string {
    return [...this.#values].map(([name, value]) => `${name}=${value}`).join("; ");
  }

  /** `Set-Cookie` lines to hand on to the browser. */
  get changes(): string[] {
    return [...this.#changes.values()];
  }

  get any(): boolean {
    return this.#values.size > 0;
  }

  get access(): string | undefined {
    return this.#values.get(this.#names.access);
  }

  get refresh(): string | undefined {
    return this.#values.get(this.#names.refresh);
  }

  /** Takes over what an answer sets, for the rest of this request and for the browser. */
  take(setCookies: readonly string[]): void {
    for (const line of setCookies) {
      const { name, value, gone } = parseSetCookie(line);
      if (!Object.values(this.#names).includes(name)) continue;
      if (gone) this.#values.delete(name);
      else this.#values.set(name, value);
      this.#changes.set(name, line);
    }
  }

  /** Ends the session in this browser. */
  forget(): void {
    for (const name of [...this.#values.keys()]) {
      const secure = name.startsWith("__Host-") ? "; Secure" : "";
      this.take([`${name}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax${secure}`]);
    }
  }
}

/** What an access token says of itself. Its signature is not looked at: the services do that. */
export function decodeAccessToken(
  token: string | undefined,
): { sub: string; ends: number } | undefined {
  try {
    const claims = JSON.parse(Buffer.from(token?.split(".")[1] ?? "", "base64url").toString());
    if (typeof claims.sub !== "string" || typeof claims.exp !== "number") return undefined;
    return { sub: claims.sub, ends: claims.exp * 1000 };
  } catch {
    return undefined;
  }
}

/** Whether the token is there and, by its own word, still works. */
export function isUnexpired(token: string | undefined, now = Date.now()): boolean {
  const read = decodeAccessToken(token);
  return read !== undefined && read.ends - MARGIN_MS > now;
}
