import { redirect } from "@sveltejs/kit";
import { textOf } from "#lib/form-text.ts";
import { failed, refused, signedIn, stop } from "#lib/server/answers.ts";
import { saveTicket } from "#lib/server/save-ticket.ts";
import { timeZones } from "#lib/server/time-zones.ts";
import { readForm } from "#lib/server/typed.ts";
import type { Actions, PageServerLoad, RequestEvent } from "./$types";

export const load: PageServerLoad = async (event) => {
  const user = signedIn(event);
  const { locals, params } = event;
  const { ticket } = await locals.api.tickets.getTicket({ id: params.id }).catch(refused(event));
  if (!ticket || ticket.userId !== user.id)
    stop(event, 403, "Only the seller can change this ticket.");
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
    signedIn(event);
    const outcome = await saveTicket(event, event.params.id, form);
    if (outcome) return outcome;
    redirect(303, `/tickets/${event.params.id}`);
  },
  withdraw: (event) => {
    signedIn(event);
    const { tickets } = event.locals.api;
    return market(event, () => tickets.deleteTicket({ id: event.params.id }), none);
  },
  relist: async (event) => {
    const form = await readForm(event);
    signedIn(event);
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
    return failed(event, cause, echo);
  }
  redirect(303, `/tickets/${event.params.id}`);
}
