import type { Service } from "#runtime/service.ts";
import { newId } from "#runtime/store/ids.ts";
import type { AuthConfig } from "../config.ts";
import { securityStampOf } from "../user-credentials.ts";
import { refreshTokens } from "./refresh-token.ts";
import { sessionEndings } from "./session-endings.ts";
import { sessionQueries } from "./session-queries.ts";
import { rotateSession } from "./session-rotation.ts";
import { sessionEnded, type SessionFields, type SessionOwner, type Sessions } from "./session.ts";
import { undeliveredRenewals } from "./undelivered-renewals.ts";
import { DAY_MS } from "#runtime/values/time.ts";

interface Options {
  sessions: Sessions;
  /** The server key that refresh tokens are derived with. */
  key: string;
  lifetimeMs: number;
  now: () => number;
}

/** What is known about the client that signs in. */
export type SessionOrigin = Partial<Pick<SessionFields, "device" | "place">>;

export interface OpenSession {
  id: string;
  userId: string;
  securityStamp: number;
  refreshToken: string;
  rotatedAt: Date;
  expiresAt: Date;
}

/** The sessions of all users, and their refresh tokens. */
export function sessionStore({ sessions, key, lifetimeMs, now }: Options) {
  const tokens = refreshTokens(key);
  const undelivered = undeliveredRenewals(sessions);

  const toOpenSession = (session: SessionFields): OpenSession => ({
    id: session._id,
    userId: session.userId,
    securityStamp: session.securityStamp ?? 0,
    rotatedAt: session.rotatedAt,
    expiresAt: session.expiresAt,
    refreshToken: tokens.issue({ sessionId: session._id, generation: session.generation }),
  });

  return {
    ...sessionQueries(sessions, now),
    ...sessionEndings(sessions, tokens),

    /** Starts a session of the user in the state in which their password was verified. */
    async start(user: SessionOwner, { device = "", place = "" }: SessionOrigin = {}) {
      const startTime = new Date(now());
      const session = {
        _id: newId(),
        userId: user._id,
        securityStamp: securityStampOf(user),
        device,
        place,
        generation: 1,
        createTime: startTime,
        rotatedAt: startTime,
        expiresAt: new Date(now() + lifetimeMs),
      };
      await sessions.create(session);
      return toOpenSession(session);
    },

    /** The session of a refresh token that this server issued. */
    sessionIdOf: (token: string): string | undefined => tokens.verify(token)?.sessionId,

    /** Exchanges a refresh token for its successor. */
    async renew(token: string): Promise<OpenSession> {
      const claims = tokens.verify(token);
      if (!claims) throw sessionEnded();
      return toOpenSession(await rotateSession({ sessions, undelivered, now }, claims));
    },

    /**
     * Remembers that the response to a renewal may not have arrived, by a server failure. Until the
     * successor is used, the previous token gets it again, however late.
     */
    markUndelivered: ({ id, rotatedAt }: OpenSession): void => undelivered.add(id, rotatedAt),

    storeUndelivered: (): Promise<void> => undelivered.flush(),
  };
}
export type SessionStore = ReturnType<typeof sessionStore>;

/** Starts the sessions of a service: renewals whose response was lost are stored every second. */
export function startSessionStore(
  service: Service,
  sessions: Sessions,
  config: AuthConfig,
): SessionStore {
  const lifetimeMs = config.SESSION_DAYS * DAY_MS;
  const store = sessionStore({ sessions, key: config.REFRESH_KEY, lifetimeMs, now: Date.now });
  service.every(1, "storing undelivered session renewals", store.storeUndelivered);
  return store;
}
