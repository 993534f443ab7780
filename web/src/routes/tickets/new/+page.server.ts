import { redirect } from "@sveltejs/kit";
import { formValue } from "#lib/format/form-text.ts";
import { requireUser } from "#lib/server/pages/access.ts";
import { failFields, failForm, nextRequestId } from "#lib/server/pages/form-errors.ts";
import { readForm } from "#lib/server/pages/unsent-form.ts";
import { parseTicketForm, readFormValues } from "#lib/server/tickets/ticket-form.ts";
import { timeZones } from "#lib/server/tickets/time-zones.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = (event) => {
  requireUser(event);
  return { requestId: crypto.randomUUID(), timeZones };
};

export const actions: Actions = {
  default: async (event) => {
    const form = await readForm(event);
    requireUser(event);
    const requestId = formValue(form, "requestId");
    const values = readFormValues(form);
    const { input, fields } = parseTicketForm(values);
    if (!input) return failFields(fields, { values, requestId });
    const response = await event.locals.api.tickets
      .createTicket({ ...input, requestId })
      .catch((cause) =>
        failForm(event, cause, { values, requestId: nextRequestId(cause, requestId) }),
      );
    if ("status" in response) return response;
    redirect(303, `/tickets/${response.ticket!.id}`);
  },
};
