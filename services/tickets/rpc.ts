import type { ConnectRouter, HandlerContext } from "@connectrpc/connect";
import { TicketService, type ListTicketsRequest } from "@ticketing/proto/tickets/v1/ticket_service";
import { caller, callerIfAny } from "#runtime/rpc/authentication.ts";
import { readById } from "#runtime/store/batched-reads.ts";
import { relistTicket, updateTicket, withdrawTicket } from "./listings/change-ticket.ts";
import { openTicketCode } from "./codes/code.ts";
import { createTicket, type CreateDeps } from "./listings/create-ticket.ts";
import { ticketNotFound } from "./errors.ts";
import { exportTickets } from "./export.ts";
import type { PublicReads } from "./public-reads.ts";
import { search } from "./listings/search.ts";
import { toProto, type TicketFields, type Tickets } from "./ticket.ts";

const toResponse = (ticket: TicketFields) => ({ ticket: toProto(ticket) });

async function findTicket(tickets: Tickets, id: string): Promise<TicketFields> {
  const ticket = await readById(tickets, id);
  if (!ticket) throw ticketNotFound();
  return ticket;
}

interface Deps extends CreateDeps {
  publicReads: PublicReads;
}

/** One ticket. Anonymous callers share a response. */
function getTicket({ tickets, publicReads }: Deps, id: string, ctx: HandlerContext) {
  const load = async () => toResponse(await findTicket(tickets, id));
  return callerIfAny(ctx) ? load() : publicReads.ticket(id, load);
}

/** A page of tickets. Anonymous callers share a response. */
function listTickets(deps: Deps, request: ListTicketsRequest, ctx: HandlerContext) {
  const callerId = callerIfAny(ctx)?.id;
  const load = () => search(deps, request, callerId);
  return callerId === undefined ? deps.publicReads.page(request, load) : load();
}

/** TicketService: one line per method. */
export const ticketRoutes = (deps: Deps) => (router: ConnectRouter) =>
  router.service(TicketService, {
    createTicket: async (request, ctx) =>
      toResponse(await createTicket(deps, caller(ctx).id, request)),
    getTicket: ({ id }, ctx) => getTicket(deps, id, ctx),
    listTickets: (request, ctx) => listTickets(deps, request, ctx),
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
