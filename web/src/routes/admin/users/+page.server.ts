import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { redirect } from "@sveltejs/kit";
import {
  requireAdministrator,
  failForm,
  failFields,
  toFirstPageOrError,
} from "#lib/server/pages/form-errors.ts";
import { readForm } from "#lib/server/pages/unsent-form.ts";
import { parseLocalTime, isTimeZone } from "#lib/format/time.ts";
import { readUserSearch, statusOf, userSearchText } from "#lib/account/user-search.ts";
import type { Actions, PageServerLoad, RequestEvent } from "./$types";

export const load: PageServerLoad = async (event) => {
  requireAdministrator(event);
  const { locals, url } = event;
  const search = readUserSearch(url.searchParams);
  const page = url.searchParams.get("page") ?? "";
  const { users, nextPageToken } = await locals.api.users
    .listUsers({ email: search.email, status: statusOf(search.status), pageToken: page })
    .catch(toFirstPageOrError(event));
  return { search, page, users, nextPageToken, done: url.searchParams.get("done") ?? "" };
};

export const actions: Actions = {
  ban: async (event) => {
    const form = await readForm(event);
    requireAdministrator(event);
    const text = (name: string) => String(form.get(name) ?? "").trim();
    const [userId, reason, until] = [text("userId"), text("reason"), text("endsAt")];
    const echo = { userId, banReason: reason, endsAt: until };
    const zone = text("timeZone");
    const end = until ? parseLocalTime(until, isTimeZone(zone) ? zone : "UTC") : undefined;
    if (typeof end === "object") return failFields({ endsAt: end.refused }, echo);
    const endsAt = end === undefined ? {} : { endsAt: timestampFromMs(end) };
    try {
      await event.locals.api.users.banUser({ userId, reason, ...endsAt });
    } catch (cause) {
      return failForm(event, cause, echo);
    }
    redirect(303, back(event, "ban"));
  },
  unban: async (event) => {
    requireAdministrator(event);
    const userId = String((await event.request.formData()).get("userId") ?? "");
    try {
      await event.locals.api.users.unbanUser({ userId });
    } catch (cause) {
      return failForm(event, cause, { userId, banReason: "", endsAt: "" });
    }
    redirect(303, back(event, "unban"));
  },
};

/** The list as it was searched, and what was done. */
function back({ url }: RequestEvent, done: "ban" | "unban"): string {
  const search = new URLSearchParams(userSearchText(readUserSearch(url.searchParams)));
  search.set("done", done);
  return `/admin/users?${search}`;
}
