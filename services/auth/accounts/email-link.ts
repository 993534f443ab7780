import { update } from "#runtime/store/aggregate.ts";
import { AuthError } from "../errors.ts";
import type { LinkPurpose } from "../mail/link-tokens.ts";
import type { User, UserFields } from "../user.ts";
import { loadWithPassword, type AccountDeps } from "./verified-account.ts";

const linkExpired = (): Error =>
  new AuthError("LINK_EXPIRED", "this link is used up or too old; ask for another");

function mustBeValid(
  { links }: AccountDeps,
  purpose: LinkPurpose,
  token: string,
  user: UserFields | null,
): UserFields {
  if (user?.status === "ACTIVE" && links.isValid(purpose, token, user)) return user;
  throw linkExpired();
}

/** The account of a link, if the link is valid. */
export async function findLinkOwner(
  deps: AccountDeps,
  purpose: LinkPurpose,
  token: string,
): Promise<UserFields> {
  const user = await loadWithPassword(deps.users, deps.links.claimedUserId(token));
  return mustBeValid(deps, purpose, token, user);
}

/** Changes the account of a link. The link is verified against the same state that the change is saved on. */
export async function redeemLink(
  deps: AccountDeps,
  purpose: LinkPurpose,
  token: string,
  change: (user: User) => void,
): Promise<void> {
  const user = await update(deps.users, deps.links.claimedUserId(token), (found) => {
    mustBeValid(deps, purpose, token, found);
    change(found);
  });
  if (!user) throw linkExpired();
}
