import { redirect } from "@sveltejs/kit";
import { safeRedirectPath } from "#lib/redirect-path.ts";
import { failForm } from "#lib/server/pages/form-errors.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = ({ locals, url }) => {
  const next = safeRedirectPath(url.searchParams.get("next"));
  if (locals.user) redirect(303, next);
  return { next };
};

export const actions: Actions = {
  default: async (event) => {
    const form = await event.request.formData();
    const email = String(form.get("email") ?? "").trim();
    const password = String(form.get("password") ?? "");
    try {
      await event.locals.api.auth.signUp({ email, password });
    } catch (cause) {
      return failForm(event, cause, { email });
    }
    redirect(303, safeRedirectPath(String(form.get("next") ?? "")));
  },
};
