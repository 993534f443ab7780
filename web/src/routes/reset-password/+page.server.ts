import { redirect } from "@sveltejs/kit";
import { failForm } from "#lib/server/pages/form-errors.ts";
import { clearLinkToken, readLinkToken, moveTokenToCookie } from "#lib/server/pages/email-link.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = (event) => ({
  hasLink: moveTokenToCookie(event, "/reset-password"),
});

export const actions: Actions = {
  default: async (event) => {
    const { cookies, locals, request } = event;
    const newPassword = String((await request.formData()).get("newPassword") ?? "");
    try {
      await locals.api.accounts.resetPassword({ token: readLinkToken(cookies), newPassword });
    } catch (cause) {
      return failForm(event, cause, {});
    }
    clearLinkToken(cookies, "/reset-password");
    locals.forget();
    redirect(303, "/sign-in?done=password");
  },
};
