import type { RequestEvent } from "@sveltejs/kit";

/** What was typed into a form, and where it was sent: enough to send it again. */
export interface UnsentForm {
  action: string;
  fields: [name: string, value: string][];
}

/** Typed anew each time: no page ever shows or holds a password. */
const isSecret = (name: string): boolean => /password/i.test(name);

/**
 * Reads a form that a person has typed into. Should the answer be an error page (the session has ended,
 * the backend is away), that page holds what was typed.
 */
export async function readForm({ request, url, locals }: RequestEvent): Promise<FormData> {
  const form = await request.formData();
  const fields = [...form].filter(([name]) => !isSecret(name));
  locals.typed = {
    action: url.pathname + url.search,
    fields: fields.map(([name, value]) => [name, String(value)]),
  };
  return form;
}
