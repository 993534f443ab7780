import { moveTokenToCookie } from "#lib/server/pages/email-link.ts";
import { newPasswordAction } from "#lib/server/pages/new-password.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = (event) => ({
  hasLink: moveTokenToCookie(event, "/undo-email-change"),
});

export const actions: Actions = {
  default: newPasswordAction(
    "/undo-email-change",
    (api, request) => api.accounts.undoEmailChange(request),
    "/sign-in?done=undone",
  ),
};
