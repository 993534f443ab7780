import {
  CreateTicketRequestSchema,
  type CreateTicketRequest,
} from "@ticketing/proto/tickets/v1/ticket_service";
import { isBanned, type BanReplica } from "#marketplace/ban-replica.ts";
import { runWithoutDeadline } from "#runtime/call-deadline.ts";
import { CallError } from "#runtime/errors.ts";
import { insertAggregate, newAggregate, updateAggregate } from "#runtime/store/plain-aggregate.ts";
import { duplicateKeyIndex } from "#runtime/store/database.ts";
import {
  idempotencyKey,
  mustBeSameRequest,
  type IdempotencyKey,
} from "#runtime/store/request-id.ts";
import { mustBeUpcoming } from "./event-time.ts";
import { toCode, toListing } from "./listing-request.ts";
import { list, setSellerBanned, type Ticket, type Tickets } from "../ticket.ts";

export interface CreateDeps {
  tickets: Tickets;
  banReplica: BanReplica;
  now: () => number;
}

/** Lists a ticket. A retry gets the ticket that the first request made. */
export async function createTicket(
  deps: CreateDeps,
  userId: string,
  request: CreateTicketRequest,
): Promise<Ticket> {
  const { tickets, now } = deps;
  const key = idempotencyKey(CreateTicketRequestSchema, request);
  const code = toCode(request.code) || undefined;
  const listing = toListing(request);
  mustBeUpcoming(listing.eventTime, now());
  const ticket = newAggregate(tickets, { userId, ...listing, ...key, code });
  list(ticket);
  const saved = await insertAggregate(tickets, ticket).then(
    () => ticket,
    (error: unknown) => findReplay(tickets, error, userId, key),
  );
  // A ban handled at the same time did not find this ticket, so bans are checked again, for a retry too.
  await runWithoutDeadline(() => withdrawIfBanned(deps, userId, saved._id));
  return saved;
}

/** The ticket that the same request made before; throws any error but a duplicate request. */
async function findReplay(
  tickets: Tickets,
  error: unknown,
  userId: string,
  key: Partial<IdempotencyKey>,
): Promise<Ticket> {
  if (duplicateKeyIndex(error) !== "request") throw error;
  const where = { userId, requestId: key.requestId ?? "" };
  const made = await tickets.findOne(where, { outbox: 0, code: 0 }).orFail().lean<Ticket>();
  mustBeSameRequest(made, key);
  return made;
}

async function withdrawIfBanned(
  { tickets, banReplica }: CreateDeps,
  userId: string,
  ticketId: string,
): Promise<void> {
  if (!(await isBanned(banReplica, userId))) return;
  await updateAggregate(tickets, ticketId, (ticket) => setSellerBanned(ticket, true));
  throw new CallError("BANNED", "this account is banned");
}
