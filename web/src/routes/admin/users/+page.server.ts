import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { redirect } from "@sveltejs/kit";
import { readUserSearch, statusOf, userSearchQuery } from "#lib/account/user-search.ts";
import { formValue } from "#lib/format/form-text.ts";
import { parseLocalTime } from "#lib/format/local-time.ts";
import { isTimeZone } from "#lib/format/time.ts";
import { requireAdministrator } from "#lib/server/pages/access.ts";
import { failFields, failForm } from "#lib/server/pages/form-errors.ts";
import { toFirstPageOrError } from "#lib/server/pages/load-errors.ts";
import { readForm } from "#lib/server/pages/unsent-form.ts";
import type { Actions, PageServerLoad, RequestEvent } from "./$types";

export const load: PageServerLoad = async (event) => {
  requireAdministrator(event);
  const { locals, url } = event;
  const search = readUserSearch(url.searchParams);
  const pageToken = url.searchParams.get("page") ?? "";
  const { users, nextPageToken } = await locals.api.users
    .listUsers({ email: search.email, status: statusOf(search.status), pageToken })
    .catch(toFirstPageOrError(event));
  return { search, pageToken, users, nextPageToken, done: url.searchParams.get("done") ?? "" };
};

export const actions: Actions = {
  ban: async (event) => {
    const form = await readForm(event);
    requireAdministrator(event);
    const text = (name: string) => formValue(form, name).trim();
    const values = { userId: text("userId"), banReason: text("reason"), endsAt: text("endsAt") };
    const zone = text("timeZone");
    const end = values.endsAt
      ? parseLocalTime(values.endsAt, isTimeZone(zone) ? zone : "UTC")
      : undefined;
    if (typeof end === "object") return failFields({ endsAt: end.error }, values);
    const request = { userId: values.userId, reason: values.banReason };
    const endsAt = end === undefined ? {} : { endsAt: timestampFromMs(end) };
    try {
      await event.locals.api.users.banUser({ ...request, ...endsAt });
    } catch (cause) {
      return failForm(event, cause, values);
    }
    redirect(303, searchPath(event, "ban"));
  },
  unban: async (event) => {
    requireAdministrator(event);
    const userId = formValue(await event.request.formData(), "userId");
    try {
      await event.locals.api.users.unbanUser({ userId });
    } catch (cause) {
      return failForm(event, cause, { userId, banReason: "", endsAt: "" });
    }
    redirect(303, searchPath(event, "unban"));
  },
};

/** The address of the same search, with what was done. */
function searchPath({ url }: RequestEvent, done: "ban" | "unban"): string {
  const search = new URLSearchParams(userSearchQuery(readUserSearch(url.searchParams)));
  search.set("done", done);
  return `/admin/users?${search}`;
}
