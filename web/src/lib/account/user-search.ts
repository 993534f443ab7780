import { firstCharacters } from "#lib/format/form-text.ts";
import { UserStatus } from "@ticketing/proto/web/auth/v1/user";

/** What an administrator looks for, by the names that stand in the address. */
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
  // The longest address that there is, so that no longer one is refused as an address of this page.
  email: firstCharacters((params.get("email") ?? "").trim(), 254),
  status: userStatuses.find(({ key }) => key === params.get("status"))?.key ?? "",
});

/** The part of an address that leads to the same search again; empty for none. */
export const userSearchText = ({ email, status }: UserSearch): string =>
  new URLSearchParams({ ...(email && { email }), ...(status && { status }) }).toString();
