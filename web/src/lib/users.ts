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
  email: (params.get("email") ?? "").trim(),
  status: params.get("status") ?? "",
});

/** The part of an address that leads to the same search again; empty for none. */
export const userSearchText = ({ email, status }: UserSearch): string =>
  new URLSearchParams({ ...(email && { email }), ...(status && { status }) }).toString();
