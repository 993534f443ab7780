import { error, redirect } from "@sveltejs/kit";
import { failed, incomplete, refused, signedIn } from "#lib/server/answers.ts";
import { readTicketForm } from "#lib/server/ticket-form.ts";
import type { Actions, PageServerLoad, RequestEvent } from "./$types";

export const load: PageServerLoad = async (event) => {
  const user = signedIn(event);
  const { locals, params } = event;
  const { ticket } = await locals.api.tickets.getTicket({ id: params.id }).catch(refused(event));
  if (!ticket || ticket.userId !== user.id) error(403, "Only the seller can change this ticket.");
  return { ticket };
};

export const actions: Actions = {
  save: async (event) => {
    signedIn(event);
    const form = await event.request.formData();
    const { id } = event.params;
    try {
      // What the seller left as it was is sent as it is, and not as a form can show it.
      const { ticket } = await event.locals.api.tickets.getTicket({ id });
      const { values, input, fields } = readTicketForm(form, ticket);
      if (!input) return incomplete(fields, { values });
      const { code, ...rest } = input;
      // Left out, the attached code stays; empty, it goes.
      const change = form.has("removeCode") ? { code: "" } : code ? { code } : {};
      const version = BigInt(/^\d{1,18}$/.exec(String(form.get("version")))?.[0] ?? 0);
      await event.locals.api.tickets.updateTicket({ id, version, ...rest, ...change });
    } catch (cause) {
      return failed(event, cause, { values: readTicketForm(form).values });
    }
    redirect(303, `/tickets/${id}`);
  },
  withdraw: (event) => {
    const { tickets } = event.locals.api;
    return market(event, () => tickets.deleteTicket({ id: event.params.id }));
  },
  relist: async (event) => {
    const form = await event.request.formData();
    const { tickets } = event.locals.api;
    const code = String(form.get("code") ?? "").trim();
    // Left out, what is attached stays; empty, it is said that there is none.
    const change = form.has("noCode") ? { code: "" } : code ? { code } : {};
    return market(event, () => tickets.relistTicket({ id: event.params.id, ...change }));
  },
};

/** Takes the ticket off the market, or puts it there again. */
async function market(event: RequestEvent, change: () => Promise<unknown>) {
  signedIn(event);
  try {
    await change();
  } catch (cause) {
    return failed(event, cause, { values: undefined });
  }
  redirect(303, `/tickets/${event.params.id}`);
}
