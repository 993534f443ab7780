import type {
  RelistTicketRequest,
  UpdateTicketRequest,
} from "@ticketing/proto/tickets/v1/ticket_service";
import { CallError } from "#runtime/errors.ts";
import { updateAggregate } from "#runtime/store/plain-aggregate.ts";
import { ticketNotFound } from "../errors.ts";
import { mustBeUpcoming } from "./event-time.ts";
import { toCode, toListing } from "./listing-request.ts";
import {
  edit,
  mustBeChangeable,
  relist,
  setWithdrawn,
  type Ticket,
  type Tickets,
} from "../ticket.ts";

// What a seller does with a ticket after listing it.

interface Deps {
  tickets: Tickets;
  now: () => number;
}

/** Changes a ticket of this seller that is not held. */
async function change(
  { tickets }: Deps,
  userId: string,
  id: string,
  apply: (ticket: Ticket) => boolean | void,
): Promise<Ticket> {
  const ticket = await updateAggregate(
    tickets,
    id,
    (found) => {
      mustBeChangeable(found, userId);
      return apply(found);
    },
    "+code",
  );
  if (!ticket) throw ticketNotFound();
  return ticket;
}

export function updateTicket(deps: Deps, userId: string, request: UpdateTicketRequest) {
  const listing = toListing(request);
  const code = toCode(request.code);
  return change(deps, userId, request.id, (ticket) => {
    if (request.version > 0 && Number(request.version) !== ticket.version) {
      throw new CallError("CHANGED_MEANWHILE", "the ticket has changed; look at it again");
    }
    mustBeUpcoming(listing.eventTime, deps.now(), ticket.eventTime);
    edit(ticket, listing, code);
  });
}

export const withdrawTicket = (deps: Deps, userId: string, id: string): Promise<Ticket> =>
  change(deps, userId, id, (ticket) => setWithdrawn(ticket, true));

export function relistTicket(deps: Deps, userId: string, request: RelistTicketRequest) {
  const code = toCode(request.code);
  return change(deps, userId, request.id, (ticket) => relist(ticket, code));
}
