import { redirect } from "@sveltejs/kit";
import { failed, incomplete, nextRequestId, signedIn } from "#lib/server/answers.ts";
import { readTicket, typedValues } from "#lib/server/ticket-form.ts";
import { timeZones } from "#lib/server/time-zones.ts";
import { readForm } from "#lib/server/typed.ts";
import type { Actions, PageServerLoad } from "./$types";

export const load: PageServerLoad = (event) => {
  signedIn(event);
  return { requestId: crypto.randomUUID(), timeZones };
};

export const actions: Actions = {
  default: async (event) => {
    const form = await readForm(event);
    signedIn(event);
    const requestId = String(form.get("requestId") ?? "");
    const values = typedValues(form);
    const { input, fields } = readTicket(values);
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
