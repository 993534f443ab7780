import type { RequestEvent } from "@sveltejs/kit";

/** A submitted form, kept so that an error page can send it again. */
export interface UnsentForm {
  action: string;
  fields: [name: string, value: string][];
}

/** Passwords are typed again each time: no page ever shows or holds one. */
const isSecret = (name: string): boolean => /password/i.test(name);

/**
 * Reads a form that a person has filled in. If the response is an error page (the session has expired, or
 * the backend is unavailable), that page holds the form's fields.
 */
export async function readForm({ request, url, locals }: RequestEvent): Promise<FormData> {
  const form = await request.formData();
  const fields = [...form].filter(([name]) => !isSecret(name));
  locals.unsentForm = {
    action: url.pathname + url.search,
    fields: fields.map(([name, value]) => [name, String(value)]),
  };
  return form;
}
