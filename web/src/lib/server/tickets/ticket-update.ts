import type { RequestEvent } from "@sveltejs/kit";
import type { Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { describeError } from "#lib/errors/error-messages.ts";
import { versionIn } from "#lib/format/form-text.ts";
import { failFields, failForm } from "#lib/server/pages/form-errors.ts";
import { findConflicts } from "#lib/tickets/edit-conflicts.ts";
import { parseTicket } from "#lib/tickets/serialized-ticket.ts";
import { parseTicketForm, readChoices, readFormValues, type Choices } from "./ticket-form.ts";

/** How often an edit without conflicts is merged with changes made meanwhile. */
const MAX_ATTEMPTS = 3;

const chooseFirst =
  "This ticket was changed elsewhere since you opened this page. Choose which changes to keep, then save again.";

/**
 * Saves the form of a ticket, merged with changes made since the form was filled. Parts that were not
 * edited keep their current values. After a conflict nothing is saved, and the form comes back with both
 * versions. Returns the form's failure; undefined once the ticket is saved.
 */
export async function updateTicket(event: RequestEvent, id: string, form: FormData) {
  const { tickets } = event.locals.api;
  const base = parseTicket(form.get("base"));
  const values = readFormValues(form);
  let current = parseTicket(form.get("current"));
  let choices: Choices = current ? readChoices(form) : {};
  for (let attempt = 1; ; attempt += 1) {
    const version = (current ?? base)?.version ?? versionIn(form, "version");
    const echo = { values, base, current, version: String(version), code: "", noCode: false };
    const { input, fields } = parseTicketForm(values, { base, current, choices });
    if (!input) return failFields(fields, echo);
    try {
      await tickets.updateTicket({ id, version, ...input });
      return undefined;
    } catch (cause) {
      if (describeError(cause, event.locals).reason !== "CHANGED_MEANWHILE")
        return failForm(event, cause, echo);
      const stored = await readTicket(event, id);
      if (stored && attempt < MAX_ATTEMPTS && findConflicts(values, base, stored).length === 0) {
        current = stored;
        choices = {};
        continue;
      }
      const latest = stored && { current: stored, version: String(stored.version) };
      const failure = failForm(event, cause, { ...echo, ...latest });
      failure.data.message = chooseFirst;
      return failure;
    }
  }
}

/** The stored ticket; undefined if it cannot be read. */
const readTicket = (event: RequestEvent, id: string): Promise<Ticket | undefined> =>
  event.locals.api.tickets.getTicket({ id }).then(
    ({ ticket }) => ticket,
    () => undefined,
  );
