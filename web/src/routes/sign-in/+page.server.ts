import { redirect } from "@sveltejs/kit";
import { safeNext } from "#lib/next.ts";
import { failed } from "#lib/server/answers.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = ({ locals, url }) => {
  const next = safeNext(url.searchParams.get("next"));
  if (locals.user) redirect(303, next);
  return { next, done: url.searchParams.get("done") ?? "" };
};

export const actions: Actions = {
  default: async (event) => {
    const form = await event.request.formData();
    const email = String(form.get("email") ?? "").trim();
    const password = String(form.get("password") ?? "");
    try {
      await event.locals.api.auth.signIn({ email, password });
    } catch (cause) {
      return failed(event, cause, { email });
    }
    redirect(303, safeNext(String(form.get("next") ?? "")));
  },
};
