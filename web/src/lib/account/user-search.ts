import { UserStatus } from "@ticketing/proto/web/auth/v1/user";
import { firstCharacters } from "#lib/format/form-text.ts";

/** The longest possible email address. A longer search would be an invalid request. */
const MAX_EMAIL_LENGTH = 254;

/** An administrator's search for users, by the parameters of the page's address. */
export interface UserSearch {
  email: string;
  status: string;
}

export const userStatuses = [
  { key: "", label: "All users", value: UserStatus.UNSPECIFIED },
  { key: "active", label: "Active", value: UserStatus.ACTIVE },
  { key: "banned", label: "Banned", value: UserStatus.BANNED },
] as const;

export const statusOf = (key: string): UserStatus =>
  userStatuses.find((each) => each.key === key)?.value ?? UserStatus.UNSPECIFIED;

export const readUserSearch = (params: URLSearchParams): UserSearch => ({
  email: firstCharacters((params.get("email") ?? "").trim(), MAX_EMAIL_LENGTH),
  status: userStatuses.find(({ key }) => key === params.get("status"))?.key ?? "",
});

/** The query string of a search; empty if nothing is searched for. */
export const userSearchQuery = ({ email, status }: UserSearch): string =>
  new URLSearchParams({ ...(email && { email }), ...(status && { status }) }).toString();
