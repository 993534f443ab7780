import { credentialsAction, loadCredentialsPage } from "#lib/server/pages/credentials.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = (event) => loadCredentialsPage(event);

export const actions: Actions = {
  default: credentialsAction((api, credentials) => api.auth.signUp(credentials)),
};
