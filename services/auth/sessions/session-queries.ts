import { readById } from "#runtime/store/batched-reads.ts";
import { isCurrent, type SessionFields, type SessionOwner, type Sessions } from "./session.ts";

const isOwnersCurrent = ({ _id: id, securityStamp }: SessionFields, owner: SessionOwner): boolean =>
  isCurrent({ id, securityStamp }, owner);

/** Finds the valid sessions of a user. */
export const sessionQueries = (sessions: Sessions, now: () => number) => ({
  /** The session with this id, whether or not it is valid. */
  find: (id: string): Promise<SessionFields | undefined> => readById(sessions, id),

  /** Whether the session is the user's, and valid. */
  isActive: (session: SessionFields, owner: SessionOwner): boolean =>
    session.userId === owner._id &&
    session.expiresAt.getTime() > now() &&
    isOwnersCurrent(session, owner),

  /** The valid sessions of a user, the most recently used first. */
  async list(owner: SessionOwner): Promise<SessionFields[]> {
    const unexpired = { userId: owner._id, expiresAt: { $gt: new Date(now()) } };
    const found = await sessions.find(unexpired).sort({ rotatedAt: -1, _id: -1 }).lean();
    return found.filter((session) => isOwnersCurrent(session, owner));
  },
});
