import { redirect } from "@sveltejs/kit";
import { clearLinkToken, moveTokenToCookie, readLinkToken } from "#lib/server/pages/email-link.ts";
import { failForm } from "#lib/server/pages/form-errors.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = (event) => ({
  hasLink: moveTokenToCookie(event, "/confirm-email"),
  isDone: event.url.searchParams.has("done"),
});

export const actions: Actions = {
  default: async (event) => {
    const { cookies, locals } = event;
    try {
      await locals.api.accounts.confirmEmail({ token: readLinkToken(cookies) });
    } catch (cause) {
      return failForm(event, cause, {});
    }
    clearLinkToken(cookies, "/confirm-email");
    // The access token says whether the email is confirmed, so it is renewed.
    if (locals.user) await locals.api.auth.refreshSession({}).catch(() => undefined);
    redirect(303, "/confirm-email?done");
  },
};
