import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type {
  ExportedTicketSchema,
  ExportTicketsRequest,
} from "@ticketing/proto/tickets/v1/ticket_service";
import { toPage, pageSize, readPageToken } from "#runtime/store/paging.ts";
import { toProto, type TicketFields, type Tickets } from "./ticket.ts";

const toExported = (ticket: TicketFields): MessageInitShape<typeof ExportedTicketSchema> => ({
  ticket: toProto(ticket),
  code: ticket.code ?? "",
  soldToOrderIds: ticket.sales ?? [],
  codeOpenedOrderId: ticket.codeOpenedFor ?? "",
  ...(ticket.codeOpenTime && { codeOpenTime: timestampFromDate(ticket.codeOpenTime) }),
  codeSealedOrderId: ticket.codeSealedFor ?? "",
  requestId: ticket.requestId ?? "",
});

/** With the longest possible codes, a page of this size stays below the edge's response limit. */
const MAX_PAGE_SIZE = 20;

/** One page of a seller's own tickets, with the fields that only they may see. */
export async function exportTickets(
  tickets: Tickets,
  { pageSize: asked, pageToken: token }: ExportTicketsRequest,
  userId: string,
) {
  const query = ["export", userId];
  const after = readPageToken(query, token);
  const size = Math.min(pageSize(asked), MAX_PAGE_SIZE);
  const found = await tickets
    .find({ userId, ...(after && { _id: { $lt: after.id } }) })
    .select("+code -outbox")
    .sort({ _id: -1 })
    .limit(size + 1)
    .lean<TicketFields[]>();
  const { page, nextPageToken } = toPage(query, size, found);
  return { tickets: page.map(toExported), nextPageToken };
}
