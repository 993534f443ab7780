import type { Sessions } from "./session.ts";

/** How many renewals are remembered at most. */
const CAPACITY = 10_000;

/**
 * Renewals whose response may not have reached the client, by a server failure. They are remembered in
 * memory while the database is down, and then stored.
 */
export function undeliveredRenewals(sessions: Sessions) {
  const renewals = new Map<string, Date>();
  return {
    add(sessionId: string, rotatedAt: Date): void {
      if (renewals.size < CAPACITY) renewals.set(sessionId, rotatedAt);
    },

    has: (sessionId: string, rotatedAt: Date): boolean =>
      renewals.get(sessionId)?.getTime() === rotatedAt.getTime(),

    /** Stores what is remembered. */
    async flush(): Promise<void> {
      for (const [_id, rotatedAt] of [...renewals]) {
        await sessions.updateOne({ _id, rotatedAt }, { $set: { unanswered: true } });
        if (renewals.get(_id) === rotatedAt) renewals.delete(_id);
      }
    },
  };
}
