import { redirect } from "@sveltejs/kit";
import { failForm } from "#lib/server/pages/form-errors.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = ({ url }) => ({ isSent: url.searchParams.has("sent") });

export const actions: Actions = {
  default: async (event) => {
    const form = await event.request.formData();
    const email = String(form.get("email") ?? "").trim();
    try {
      await event.locals.api.accounts.requestPasswordReset({ email });
    } catch (cause) {
      return failForm(event, cause, { email });
    }
    redirect(303, "/forgotten-password?sent");
  },
};
