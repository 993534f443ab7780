import { redirect, type Action } from "@sveltejs/kit";
import { formValue } from "#lib/format/form-text.ts";
import type { Api } from "#lib/server/api/api.ts";
import { clearLinkToken, readLinkToken, type EmailLinkPath } from "./email-link.ts";
import { failForm } from "./form-errors.ts";

type SetPassword = (api: Api, request: { token: string; newPassword: string }) => Promise<unknown>;

/** The action of a page behind an email's link that sets a new password and then leads to the sign-in. */
export const newPasswordAction = (
  path: EmailLinkPath,
  setPassword: SetPassword,
  redirectPath: string,
) =>
  (async (event) => {
    const { cookies, locals, request } = event;
    const newPassword = formValue(await request.formData(), "newPassword");
    try {
      await setPassword(locals.api, { token: readLinkToken(cookies), newPassword });
    } catch (cause) {
      return failForm(event, cause, {});
    }
    clearLinkToken(cookies, path);
    locals.clearSession();
    redirect(303, redirectPath);
  }) satisfies Action;
