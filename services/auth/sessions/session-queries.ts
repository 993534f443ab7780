import { isCurrent, type SessionFields, type SessionOwner, type Sessions } from "./session.ts";

const isOwnersCurrent = ({ _id: id, securityStamp }: SessionFields, owner: SessionOwner): boolean =>
  isCurrent({ id, securityStamp }, owner);

/** Finds the valid sessions of a user. */
export const sessionQueries = (sessions: Sessions, now: () => number) => ({
  /** Whether a session of the user is valid. */
  async isActive(id: string, owner: SessionOwner): Promise<boolean> {
    const own = { _id: id, userId: owner._id, expiresAt: { $gt: new Date(now()) } };
    const session = await sessions.findOne(own).lean();
    return session !== null && isOwnersCurrent(session, owner);
  },

  /** The valid sessions of a user, the most recently used first. */
  async list(owner: SessionOwner): Promise<SessionFields[]> {
    const unexpired = { userId: owner._id, expiresAt: { $gt: new Date(now()) } };
    const found = await sessions.find(unexpired).sort({ rotatedAt: -1, _id: -1 }).lean();
    return found.filter((session) => isOwnersCurrent(session, owner));
  },
});
