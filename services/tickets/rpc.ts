import type { ConnectRouter } from "@connectrpc/connect";
import {
  CreateTicketRequestSchema,
  TicketService,
  type CreateTicketRequest,
  type UpdateTicketRequest,
} from "@ticketing/proto/tickets/v1/ticket_service";
import { update } from "#runtime/store/aggregate.ts";
import { caller, callerIfAny } from "#runtime/rpc/authentication.ts";
import type { DomainError } from "#runtime/errors.ts";
import { CallError, invalidField } from "#runtime/errors.ts";
import { TicketError } from "./errors.ts";
import { toChargeable } from "#runtime/money.ts";
import { runWithoutDeadline } from "#runtime/call-deadline.ts";
import { duplicateKeyIndex } from "#runtime/store/database.ts";
import { isBanned, type BanReplica } from "#marketplace/ban-replica.ts";
import { isVisible, readSingleLine, toMultiline } from "#runtime/text.ts";
import {
  mustBeSameRequest,
  idempotencyKey,
  type IdempotencyKey,
} from "#runtime/store/request-id.ts";
import { revealCode } from "./code.ts";
import { mustBeUpcoming, toEventTime, toTimeZone } from "./event-time.ts";
import { exportTickets } from "./export.ts";
import { categoryWord, search } from "./search.ts";
import {
  edit,
  list,
  mustBeChangeable,
  relist,
  setSellerBanned,
  setWithdrawn,
  toProto,
  type Listing,
  type Ticket,
  type TicketFields,
  type Tickets,
} from "./ticket.ts";

interface Deps {
  tickets: Tickets;
  banReplica: BanReplica;
  now: () => number;
}

const notFound = (): DomainError => new TicketError("TICKET_NOT_FOUND", "there is no such ticket");

function toListing(request: CreateTicketRequest | UpdateTicketRequest): Listing {
  if (!request.price) throw invalidField("price", "is required");
  const { amount, currency } = toChargeable(request.price, "price");
  const eventTime = toEventTime(request.eventTime);
  const timeZone = toTimeZone(request.timeZone);
  return {
    title: readSingleLine(request.title, "title", { max: 200, required: true }),
    price: amount,
    currency,
    category: categoryWord(request.category),
    venue: readSingleLine(request.venue, "venue", { max: 200 }) || undefined,
    eventTime,
    timeZone: eventTime && timeZone,
  };
}

/** A code is shown as it was typed, lines and all, and what is seen of it is all that there is. */
function readCode(code: string | undefined): string | undefined {
  if (!code) return code;
  if (isVisible(code)) return toMultiline(code);
  throw invalidField("code", "must have something that can be seen");
}

export function ticketRoutes({ tickets, banReplica, now }: Deps) {
  async function change(
    id: string,
    userId: string,
    how: (ticket: Ticket) => boolean | void,
  ): Promise<{ ticket: ReturnType<typeof toProto> }> {
    const change = (found: Ticket): boolean | void => {
      mustBeChangeable(found, userId);
      return how(found);
    };
    const ticket = await update(tickets, id, change, "+code");
    if (!ticket) throw notFound();
    return { ticket: toProto(ticket) };
  }

  /** The ticket that the same request has made already, where that is why it cannot be made. */
  async function madeBefore(error: unknown, userId: string, mark: Partial<IdempotencyKey>) {
    if (duplicateKeyIndex(error) !== "request") throw error;
    const made = await tickets.findOne({ userId, requestId: mark.requestId ?? "" }).orFail();
    mustBeSameRequest(made, mark);
    return made;
  }

  async function mustNotBeOut(userId: string, ticketId: string): Promise<void> {
    if (!(await isBanned(banReplica, userId))) return;
    await update(tickets, ticketId, (found) => setSellerBanned(found, true));
    throw new CallError("BANNED", "this account is banned");
  }

  return (router: ConnectRouter) =>
    router.service(TicketService, {
      async createTicket(request, ctx) {
        const userId = caller(ctx).id;
        const mark = idempotencyKey(CreateTicketRequestSchema, request);
        const code = readCode(request.code) || undefined;
        const listing = toListing(request);
        mustBeUpcoming(listing.eventTime, now());
        const ticket = new tickets({ userId, ...listing, ...mark, code });
        list(ticket);
        const made = await ticket.save().catch((error: unknown) => madeBefore(error, userId, mark));
        // A ban that came in the same moment did not see this ticket; now it is there to be seen. A
        // retry is told the same as the request that it repeats.
        await runWithoutDeadline(() => mustNotBeOut(userId, made._id));
        return { ticket: toProto(made) };
      },

      async getTicket({ id }) {
        const ticket = await tickets.findById(id, { outbox: 0, code: 0 }).lean<TicketFields>();
        if (!ticket) throw notFound();
        return { ticket: toProto(ticket) };
      },

      async listTickets(request, ctx) {
        const found = await search(tickets, request, callerIfAny(ctx)?.id, now());
        return { tickets: found.page.map(toProto), nextPageToken: found.nextPageToken };
      },

      exportTickets: (request, ctx) => exportTickets(tickets, request, caller(ctx).id),

      updateTicket(request, ctx) {
        const listing = toListing(request);
        const code = readCode(request.code);
        return change(request.id, caller(ctx).id, (ticket) => {
          if (request.version > 0 && Number(request.version) !== ticket.version) {
            throw new CallError("CHANGED_MEANWHILE", "the ticket has changed; look at it again");
          }
          mustBeUpcoming(listing.eventTime, now(), ticket.eventTime);
          edit(ticket, listing, code);
        });
      },

      deleteTicket({ id }, ctx) {
        return change(id, caller(ctx).id, (ticket) => setWithdrawn(ticket, true));
      },

      relistTicket(request, ctx) {
        const code = readCode(request.code);
        return change(request.id, caller(ctx).id, (ticket) => relist(ticket, code));
      },

      async openTicketCode({ id, orderId }, ctx) {
        const userId = caller(ctx).id;
        let code = "";
        const open = (ticket: Ticket): boolean => {
          const changed = revealCode(ticket, { userId, orderId, now: now() });
          code = ticket.code ?? "";
          return changed;
        };
        if (!(await update(tickets, id, open, "+code"))) throw notFound();
        return { code };
      },
    });
}
