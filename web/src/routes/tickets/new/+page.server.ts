import { redirect } from "@sveltejs/kit";
import { failed, incomplete, nextRequestId, signedIn } from "#lib/server/answers.ts";
import { readTicketForm } from "#lib/server/ticket-form.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = (event) => {
  signedIn(event);
  return { requestId: crypto.randomUUID() };
};

export const actions: Actions = {
  default: async (event) => {
    signedIn(event);
    const form = await event.request.formData();
    const requestId = String(form.get("requestId") ?? "");
    const { values, input, fields } = readTicketForm(form);
    if (!input) return incomplete(fields, { values, requestId });
    const created = await event.locals.api.tickets
      .createTicket({ ...input, requestId })
      .catch((cause) =>
        failed(event, cause, { values, requestId: nextRequestId(cause, requestId) }),
      );
    if ("status" in created) return created;
    redirect(303, `/tickets/${created.ticket!.id}`);
  },
};
