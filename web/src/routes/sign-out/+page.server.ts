import { redirect } from "@sveltejs/kit";
import type { Actions, PageServerLoad } from "./$types";

/** A link signs nobody out: that takes a form. */
export const load: PageServerLoad = () => redirect(303, "/");

export const actions: Actions = {
  default: async ({ locals }) => {
    // Where auth is away, the browser forgets the session all the same.
    await locals.api.auth.signOut({}).catch(() => undefined);
    locals.forget();
    redirect(303, "/");
  },
};
