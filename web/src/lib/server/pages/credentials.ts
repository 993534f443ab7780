import { redirect, type Action, type RequestEvent } from "@sveltejs/kit";
import { formValue } from "#lib/format/form-text.ts";
import { safeRedirectPath } from "#lib/redirect-path.ts";
import type { Api } from "#lib/server/api/api.ts";
import { failForm } from "./form-errors.ts";

type Credentials = { email: string; password: string };

/** The `load` of a page that asks for email and password: a signed-in user goes on to the next page. */
export function loadCredentialsPage({ locals, url }: Pick<RequestEvent, "locals" | "url">) {
  const next = safeRedirectPath(url.searchParams.get("next"));
  if (locals.user) redirect(303, next);
  return { next, done: url.searchParams.get("done") ?? "" };
}

/** The action of such a page: submits the credentials and goes on to the next page. */
export const credentialsAction = (
  submit: (api: Api, credentials: Credentials) => Promise<unknown>,
) =>
  (async (event) => {
    const form = await event.request.formData();
    const email = formValue(form, "email").trim();
    const password = formValue(form, "password");
    try {
      await submit(event.locals.api, { email, password });
    } catch (cause) {
      return failForm(event, cause, { email });
    }
    redirect(303, safeRedirectPath(formValue(form, "next")));
  }) satisfies Action;
