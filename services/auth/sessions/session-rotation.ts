import type { RefreshTokenClaims } from "./refresh-token.ts";
import { sessionEnded, type SessionFields, type Sessions } from "./session.ts";
import type { undeliveredRenewals } from "./undelivered-renewals.ts";

/** How long the previous token gets the same successor again: for two tabs, or a lost response. */
const GRACE_MS = 10_000;

interface Options {
  sessions: Sessions;
  undelivered: ReturnType<typeof undeliveredRenewals>;
  now: () => number;
}

/** Whether the previous token is used again by a client that never received its successor. */
function isRepeat(
  { undelivered, now }: Options,
  session: SessionFields,
  generation: number,
): boolean {
  const { _id, generation: newest, rotatedAt, expiresAt, unanswered } = session;
  if (newest !== generation + 1 || expiresAt.getTime() <= now()) return false;
  if (unanswered || undelivered.has(_id, rotatedAt)) return true;
  return now() - rotatedAt.getTime() < GRACE_MS;
}

/**
 * Rotates the refresh token of a session. The reuse of an older token ends the session, because it may be
 * stolen.
 */
export async function rotateSession(
  options: Options,
  { sessionId: _id, generation }: RefreshTokenClaims,
): Promise<SessionFields> {
  const { sessions, undelivered, now } = options;
  const current = { _id, generation, expiresAt: { $gt: new Date(now()) } };
  const rotatedAt = new Date(now());
  const rotation = {
    $inc: { generation: 1 },
    $set: { rotatedAt },
    $unset: { unanswered: 1 as const },
  };
  const rotated = await sessions
    .findOneAndUpdate(current, rotation, { returnDocument: "after" })
    .lean()
    .catch((error: unknown) => {
      undelivered.add(_id, rotatedAt); // The write may have succeeded all the same.
      throw error;
    });
  if (rotated) return rotated;
  const session = await sessions.findById(_id).lean();
  if (session && isRepeat(options, session, generation)) return session;
  await sessions.deleteOne({ _id });
  throw sessionEnded();
}
