import { moveTokenToCookie } from "#lib/server/pages/email-link.ts";
import { newPasswordAction } from "#lib/server/pages/new-password.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = (event) => ({
  hasLink: moveTokenToCookie(event, "/reset-password"),
});

export const actions: Actions = {
  default: newPasswordAction(
    "/reset-password",
    (api, request) => api.accounts.resetPassword(request),
    "/sign-in?done=password",
  ),
};
