import { redirect } from "@sveltejs/kit";
import { formValue } from "#lib/format/form-text.ts";
import { requireUser } from "#lib/server/pages/access.ts";
import { failForm } from "#lib/server/pages/form-errors.ts";
import { toErrorPage } from "#lib/server/pages/load-errors.ts";
import { readForm } from "#lib/server/pages/unsent-form.ts";
import type { Actions, PageServerLoad, RequestEvent } from "./$types";

export const load: PageServerLoad = async (event) => {
  requireUser(event);
  const { auth, payments } = event.locals.api;
  // The page works without payments: deleting the account checks the claims again.
  const claims = payments.listClaims({}).then(
    ({ claims }) => claims,
    () => undefined,
  );
  const { sessions } = await auth.listSessions({}).catch(toErrorPage(event));
  return { sessions, claims: await claims, done: event.url.searchParams.get("done") ?? "" };
};

export const actions: Actions = {
  sendConfirmation: (event) =>
    submit(event, "confirmation", async ({ accounts }) => {
      await accounts.sendConfirmation({});
      return "/account?done=confirmation";
    }),
  changeEmail: (event) =>
    submit(event, "email", async ({ accounts }, { password, newEmail }) => {
      await accounts.changeEmail({ password, newEmail });
      return "/account?done=email";
    }),
  changePassword: (event) =>
    submit(event, "password", async ({ accounts }, { password, newPassword }) => {
      await accounts.changePassword({ password, newPassword });
      return "/account?done=password";
    }),
  endSession: (event) =>
    submit(event, "sessions", async ({ auth }, { id }) => {
      await auth.endSession({ id });
      return "/account?done=session";
    }),
  signOutEverywhere: (event) =>
    submit(event, "sessions", async ({ auth }) => {
      await auth.signOutEverywhere({});
      event.locals.clearSession();
      return "/sign-in?done=everywhere";
    }),
  deleteAccount: (event) =>
    submit(event, "delete", async ({ accounts }, { password, forfeit }) => {
      await accounts.deleteAccount({ password, forfeit });
      event.locals.clearSession();
      return "/sign-in?done=deleted";
    }),
};

/** The section of the page that a form belongs to. */
type Section = "confirmation" | "email" | "password" | "sessions" | "delete";
type Fields = Record<"id" | "password" | "newPassword" | "newEmail", string> & {
  /** The ids of the claims that the user gives up. */
  forfeit: string[];
};

/** Makes one change and redirects to the returned address; an error is shown in the form's section. */
async function submit(
  event: RequestEvent,
  section: Section,
  change: (api: App.Locals["api"], fields: Fields) => Promise<string>,
) {
  const form = await readForm(event);
  requireUser(event);
  const newEmail = formValue(form, "newEmail").trim();
  const fields = {
    id: formValue(form, "id"),
    password: formValue(form, "password"),
    newPassword: formValue(form, "newPassword"),
    newEmail,
    forfeit: form.getAll("forfeit").map(String),
  };
  const outcome = await change(event.locals.api, fields).catch((cause: unknown) =>
    failForm(event, cause, { section, newEmail }),
  );
  if (typeof outcome === "string") redirect(303, outcome);
  // A signed-in user has entered no email address, so only the password can be wrong.
  if (outcome.data.reason === "WRONG_CREDENTIALS") {
    outcome.data.message = "Incorrect password.";
    outcome.data.fields = { password: "Enter your account’s current password." };
  }
  return outcome;
}
