import { redirect } from "@sveltejs/kit";
import { formText } from "#lib/format/form-text.ts";
import { requireUser } from "#lib/server/pages/access.ts";
import { showErrorPage } from "#lib/server/pages/error-page.ts";
import { failForm } from "#lib/server/pages/form-errors.ts";
import { toErrorPage } from "#lib/server/pages/load-errors.ts";
import { readForm } from "#lib/server/pages/unsent-form.ts";
import { updateTicket } from "#lib/server/tickets/ticket-update.ts";
import { timeZones } from "#lib/server/tickets/time-zones.ts";
import type { Actions, PageServerLoad, RequestEvent } from "./$types";

export const load: PageServerLoad = async (event) => {
  const user = requireUser(event);
  const { locals, params } = event;
  const { ticket } = await locals.api.tickets
    .getTicket({ id: params.id })
    .catch(toErrorPage(event));
  if (!ticket || ticket.userId !== user.id)
    showErrorPage(event, 403, "Only the seller can edit this ticket.");
  return { ticket, timeZones };
};

/** The result of a form without the ticket's fields. */
const noValues = {
  values: undefined,
  base: undefined,
  current: undefined,
  version: "",
  code: "",
  noCode: false,
};

export const actions: Actions = {
  save: async (event) => {
    const form = await readForm(event);
    requireUser(event);
    const failure = await updateTicket(event, event.params.id, form);
    if (failure) return failure;
    redirect(303, `/tickets/${event.params.id}`);
  },
  withdraw: (event) => {
    requireUser(event);
    const { tickets } = event.locals.api;
    return changeListing(event, () => tickets.deleteTicket({ id: event.params.id }), noValues);
  },
  relist: async (event) => {
    const form = await readForm(event);
    requireUser(event);
    const { tickets } = event.locals.api;
    const code = formText(form, "code").trim();
    const noCode = form.has("noCode");
    // Absent, the saved code stays; empty, the ticket has no code.
    const change = noCode ? { code: "" } : code ? { code } : {};
    const relist = () => tickets.relistTicket({ id: event.params.id, ...change });
    return changeListing(event, relist, { ...noValues, code, noCode });
  },
};

/** Withdraws or relists the ticket, then leads to its page. */
async function changeListing(
  event: RequestEvent,
  change: () => Promise<unknown>,
  values: typeof noValues,
) {
  try {
    await change();
  } catch (cause) {
    return failForm(event, cause, values);
  }
  redirect(303, `/tickets/${event.params.id}`);
}
