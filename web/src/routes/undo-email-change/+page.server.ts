import { redirect } from "@sveltejs/kit";
import { failed } from "#lib/server/answers.ts";
import { dropToken, linkToken, takeToken } from "#lib/server/mail-link.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = (event) => ({
  hasLink: takeToken(event, "/undo-email-change"),
});

export const actions: Actions = {
  default: async (event) => {
    const { cookies, locals, request } = event;
    const newPassword = String((await request.formData()).get("newPassword") ?? "");
    try {
      await locals.api.accounts.undoEmailChange({ token: linkToken(cookies), newPassword });
    } catch (cause) {
      return failed(event, cause, {});
    }
    dropToken(cookies, "/undo-email-change");
    locals.forget();
    redirect(303, "/sign-in?done=undone");
  },
};
