import { redirect } from "@sveltejs/kit";
import { textOf } from "#lib/format/form-text.ts";
import { failForm, toErrorPage, requireUser, errorPage } from "#lib/server/pages/form-errors.ts";
import { updateTicket } from "#lib/server/tickets/ticket-update.ts";
import { timeZones } from "#lib/server/tickets/time-zones.ts";
import { readForm } from "#lib/server/pages/unsent-form.ts";
import type { Actions, PageServerLoad, RequestEvent } from "./$types";

export const load: PageServerLoad = async (event) => {
  const user = requireUser(event);
  const { locals, params } = event;
  const { ticket } = await locals.api.tickets
    .getTicket({ id: params.id })
    .catch(toErrorPage(event));
  if (!ticket || ticket.userId !== user.id)
    errorPage(event, 403, "Only the seller can change this ticket.");
  return { ticket, timeZones };
};

/** The answer to a form that says nothing of the ticket itself. */
const none = {
  values: undefined,
  seen: undefined,
  now: undefined,
  version: "",
  code: "",
  noCode: false,
};

export const actions: Actions = {
  save: async (event) => {
    const form = await readForm(event);
    requireUser(event);
    const outcome = await updateTicket(event, event.params.id, form);
    if (outcome) return outcome;
    redirect(303, `/tickets/${event.params.id}`);
  },
  withdraw: (event) => {
    requireUser(event);
    const { tickets } = event.locals.api;
    return market(event, () => tickets.deleteTicket({ id: event.params.id }), none);
  },
  relist: async (event) => {
    const form = await readForm(event);
    requireUser(event);
    const { tickets } = event.locals.api;
    const [code, noCode] = [textOf(form, "code").trim(), form.has("noCode")];
    // Left out, what is attached stays; empty, it is said that there is none.
    const change = noCode ? { code: "" } : code ? { code } : {};
    const relist = () => tickets.relistTicket({ id: event.params.id, ...change });
    return market(event, relist, { ...none, code, noCode });
  },
};

/** Takes the ticket off the market, or puts it there again. */
async function market(event: RequestEvent, change: () => Promise<unknown>, echo: typeof none) {
  try {
    await change();
  } catch (cause) {
    return failForm(event, cause, echo);
  }
  redirect(303, `/tickets/${event.params.id}`);
}
