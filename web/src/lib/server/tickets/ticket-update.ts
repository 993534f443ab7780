import type { RequestEvent } from "@sveltejs/kit";
import type { Ticket } from "@ticketing/proto/web/tickets/v1/ticket";
import { describeError } from "#lib/errors/error-messages.ts";
import { parseTicket } from "#lib/tickets/ticket-changes.ts";
import { findConflicts } from "#lib/tickets/ticket-form-values.ts";
import { failForm, failFields } from "#lib/server/pages/form-errors.ts";
import { readChoices, parseTicketForm, readFormValues, type Choices } from "./ticket-form.ts";

/** How often a change is put on top of changes that do not touch what it touches. */
const MOST_TRIES = 3;

const chooseFirst =
  "This ticket was changed elsewhere since you opened this page. Choose below, then save again.";

/**
 * Saves the form of a ticket over the state that it was filled from. Where the ticket has changed since,
 * what was not touched here stays as it is now; where both have changed the same, nothing is saved, and
 * the form comes back with both. Answers what to say; nothing where it is saved.
 */
export async function updateTicket(event: RequestEvent, id: string, form: FormData) {
  const { tickets } = event.locals.api;
  const seen = parseTicket(form.get("seen"));
  const values = readFormValues(form);
  let now = parseTicket(form.get("now"));
  let choices: Choices = now ? readChoices(form) : {};
  for (let round = 1; ; round += 1) {
    const version = (now ?? seen)?.version ?? versionIn(form);
    const echo = { values, seen, now, version: String(version), code: "", noCode: false };
    const { input, fields } = parseTicketForm(values, { seen, now, choices });
    if (!input) return failFields(fields, echo);
    try {
      await tickets.updateTicket({ id, version, ...input });
      return undefined;
    } catch (cause) {
      if (describeError(cause, event.locals).reason !== "CHANGED_MEANWHILE")
        return failForm(event, cause, echo);
      const current = await currentOf(event, id);
      if (current && round < MOST_TRIES && findConflicts(values, seen, current).length === 0) {
        [now, choices] = [current, {}];
        continue;
      }
      const over = current && { now: current, version: String(current.version) };
      const answer = failForm(event, cause, { ...echo, ...over });
      answer.data.message = chooseFirst;
      return answer;
    }
  }
}

/** The version that the form was filled from, of a form that says no more than that. */
const versionIn = (form: FormData): bigint =>
  BigInt(/^\d{1,18}$/.exec(String(form.get("version")))?.[0] ?? 0);

/** The ticket as it is; undefined where that cannot be found out now. */
const currentOf = (event: RequestEvent, id: string): Promise<Ticket | undefined> =>
  event.locals.api.tickets.getTicket({ id }).then(
    ({ ticket }) => ticket,
    () => undefined,
  );
