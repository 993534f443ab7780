import type { ConnectRouter } from "@connectrpc/connect";
import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import { caller, callerIfAny } from "#runtime/rpc/authentication.ts";
import { relistTicket, updateTicket, withdrawTicket } from "./listings/change-ticket.ts";
import { openTicketCode } from "./codes/code.ts";
import { createTicket, type CreateDeps } from "./listings/create-ticket.ts";
import { ticketNotFound } from "./errors.ts";
import { exportTickets } from "./export.ts";
import { search } from "./listings/search.ts";
import { toProto, type TicketFields, type Tickets } from "./ticket.ts";

const toResponse = (ticket: TicketFields) => ({ ticket: toProto(ticket) });

async function getTicket(tickets: Tickets, id: string): Promise<TicketFields> {
  const ticket = await tickets.findById(id, { outbox: 0, code: 0 }).lean<TicketFields>();
  if (!ticket) throw ticketNotFound();
  return ticket;
}

/** TicketService: one line per method. */
export const ticketRoutes = (deps: CreateDeps) => (router: ConnectRouter) =>
  router.service(TicketService, {
    createTicket: async (request, ctx) =>
      toResponse(await createTicket(deps, caller(ctx).id, request)),
    getTicket: async ({ id }) => toResponse(await getTicket(deps.tickets, id)),
    listTickets: (request, ctx) => search(deps, request, callerIfAny(ctx)?.id),
    exportTickets: (request, ctx) => exportTickets(deps.tickets, request, caller(ctx).id),
    updateTicket: async (request, ctx) =>
      toResponse(await updateTicket(deps, caller(ctx).id, request)),
    deleteTicket: async ({ id }, ctx) => toResponse(await withdrawTicket(deps, caller(ctx).id, id)),
    relistTicket: async (request, ctx) =>
      toResponse(await relistTicket(deps, caller(ctx).id, request)),
    openTicketCode: async ({ id, orderId }, ctx) => ({
      code: await openTicketCode(deps, id, { userId: caller(ctx).id, orderId }),
    }),
  });
