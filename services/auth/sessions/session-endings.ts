import type { RefreshTokens } from "./refresh-token.ts";
import type { Sessions } from "./session.ts";

/** The ways to end sessions. Ending one that has ended already succeeds. */
export const sessionEndings = (sessions: Sessions, tokens: RefreshTokens) => ({
  /** Ends the session of a refresh token, also of an old one. */
  async endByToken(token: string): Promise<void> {
    const claims = tokens.verify(token);
    if (claims) await sessions.deleteOne({ _id: claims.sessionId });
  },

  async endById(id: string): Promise<void> {
    await sessions.deleteOne({ _id: id });
  },

  /** Ends a session, if it belongs to this user. */
  async endOwn(userId: string, id: string): Promise<void> {
    await sessions.deleteOne({ _id: id, userId });
  },

  /** Ends all sessions of a user, except one. */
  async endAll(userId: string, exceptId?: string): Promise<void> {
    await sessions.deleteMany({ userId, ...(exceptId && { _id: { $ne: exceptId } }) });
  },
});
