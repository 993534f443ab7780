import { redirect } from "@sveltejs/kit";
import { failed } from "#lib/server/answers.ts";
import { dropToken, linkToken, takeToken } from "#lib/server/mail-link.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = (event) => ({
  hasLink: takeToken(event, "/confirm-email"),
  isDone: event.url.searchParams.has("done"),
});

export const actions: Actions = {
  default: async (event) => {
    const { cookies, locals } = event;
    try {
      await locals.api.accounts.confirmEmail({ token: linkToken(cookies) });
    } catch (cause) {
      return failed(event, cause, {});
    }
    dropToken(cookies, "/confirm-email");
    // The access token says whether the address is confirmed; a new one says it now.
    if (locals.user) await locals.api.auth.refreshSession({}).catch(() => undefined);
    redirect(303, "/confirm-email?done");
  },
};
