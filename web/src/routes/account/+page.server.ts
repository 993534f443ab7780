import { redirect } from "@sveltejs/kit";
import { failForm, toErrorPage, requireUser } from "#lib/server/pages/form-errors.ts";
import { readForm } from "#lib/server/pages/unsent-form.ts";
import type { Actions, PageServerLoad, RequestEvent } from "./$types";

export const load: PageServerLoad = async (event) => {
  requireUser(event);
  const { auth, payments } = event.locals.api;
  // Without payments the rest of the page is still good: deleting asks again, and is refused.
  const due = payments.listClaims({}).then(
    ({ claims }) => claims,
    () => undefined,
  );
  const { sessions } = await auth.listSessions({}).catch(toErrorPage(event));
  return { sessions, claims: await due, done: event.url.searchParams.get("done") ?? "" };
};

export const actions: Actions = {
  confirmation: (event) =>
    change(event, "confirmation", async ({ accounts }) => {
      await accounts.sendConfirmation({});
      return "/account?done=confirmation";
    }),
  email: (event) =>
    change(event, "email", async ({ accounts }, { password, newEmail }) => {
      await accounts.changeEmail({ password, newEmail });
      return "/account?done=email";
    }),
  password: (event) =>
    change(event, "password", async ({ accounts }, { password, newPassword }) => {
      await accounts.changePassword({ password, newPassword });
      return "/account?done=password";
    }),
  end: (event) =>
    change(event, "sessions", async ({ auth }, { id }) => {
      await auth.endSession({ id });
      return "/account?done=end";
    }),
  everywhere: (event) =>
    change(event, "sessions", async ({ auth }) => {
      await auth.signOutEverywhere({});
      event.locals.forget();
      return "/sign-in?done=everywhere";
    }),
  delete: (event) =>
    change(event, "delete", async ({ accounts }, { password, forfeit }) => {
      await accounts.deleteAccount({ password, forfeit });
      event.locals.forget();
      return "/sign-in?done=deleted";
    }),
};

type Part = "confirmation" | "email" | "password" | "sessions" | "delete";
type Fields = Record<"id" | "password" | "newPassword" | "newEmail", string> & {
  /** The ids of the claims that were ticked. */
  forfeit: string[];
};

/** Makes one change and leads on; a refusal comes back beside the form that it belongs to. */
async function change(
  event: RequestEvent,
  part: Part,
  make: (api: App.Locals["api"], fields: Fields) => Promise<string>,
) {
  const form = await readForm(event);
  requireUser(event);
  const text = (name: string) => String(form.get(name) ?? "");
  const newEmail = text("newEmail").trim();
  const fields = {
    id: text("id"),
    password: text("password"),
    newPassword: text("newPassword"),
    newEmail,
    forfeit: form.getAll("forfeit").map(String),
  };
  const outcome = await make(event.locals.api, fields).catch((cause: unknown) =>
    failForm(event, cause, { part, newEmail }),
  );
  if (typeof outcome === "string") redirect(303, outcome);
  // Who is signed in has given no address that could be wrong.
  if (outcome.data.reason === "WRONG_CREDENTIALS") {
    outcome.data.message = "The password is not right.";
    outcome.data.fields = { password: "This is not the password of your account." };
  }
  return outcome;
}
