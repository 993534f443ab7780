import { redirect } from "@sveltejs/kit";
import type { Actions, PageServerLoad } from "./$types";

/** Following a link does not sign anyone out: that takes a form. */
export const load: PageServerLoad = () => redirect(303, "/");

export const actions: Actions = {
  default: async ({ locals }) => {
    // The browser's cookies are deleted even if auth is unavailable.
    await locals.api.auth.signOut({}).catch(() => undefined);
    locals.clearSession();
    redirect(303, "/");
  },
};
