import { redirect } from "@sveltejs/kit";
import { formValue } from "#lib/format/form-text.ts";
import { failForm } from "#lib/server/pages/form-errors.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = ({ url }) => ({ isSent: url.searchParams.has("sent") });

export const actions: Actions = {
  default: async (event) => {
    const email = formValue(await event.request.formData(), "email").trim();
    try {
      await event.locals.api.accounts.requestPasswordReset({ email });
    } catch (cause) {
      return failForm(event, cause, { email });
    }
    redirect(303, "/forgotten-password?sent");
  },
};
