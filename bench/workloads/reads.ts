import { AuthService } from "@ticketing/proto/auth/v1/auth_service";
import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import type { Marketplace } from "../setup/marketplace.ts";
import type { People } from "../setup/people.ts";
import { grpc, repeated, type Workload } from "../workload.ts";
import { connectCall, getRequest, type Sender } from "./requests.ts";

const PAGE = 100;
const CONNECTIONS = 32;
const ours = { side: "ours", connections: CONNECTIONS } as const;

/** The first page of all tickets, by each protocol. */
export function listOf100({ url, descriptors }: Marketplace): Workload[] {
  const common = { ...ours, family: "list", perSecond: 100 };
  const call = (codec: "json" | "proto", sender: Sender = {}) =>
    connectCall(url, TicketService.method.listTickets, { pageSize: PAGE }, sender, codec);
  return [
    repeated({
      ...common,
      name: "list-json",
      title: "list of 100, Connect JSON",
      targets: [call("json")],
    }),
    repeated({
      ...common,
      name: "list-binary",
      title: "list of 100, Connect binary",
      targets: [call("proto")],
    }),
    repeated({
      ...common,
      name: "list-gzip",
      title: "list of 100, Connect JSON, compressed",
      targets: [call("json", { acceptsGzip: true })],
    }),
    grpc({
      ...common,
      name: "list-grpc",
      title: "list of 100, gRPC",
      call: {
        address: new URL(url).host,
        descriptors,
        method: `${TicketService.typeName}/ListTickets`,
        request: { pageSize: PAGE },
      },
    }),
    repeated({
      ...common,
      name: "list-rest",
      title: "list of 100, REST",
      targets: [getRequest(`${url}/api/tickets?pageSize=${PAGE}`)],
    }),
  ];
}

/** One ticket, of a hundred different ones. */
export async function oneTicket({ url }: Marketplace, people: People): Promise<Workload[]> {
  const tickets = await people.tickets(PAGE);
  const common = { ...ours, family: "ticket", perSecond: 200 };
  return [
    repeated({
      ...common,
      name: "ticket-connect",
      title: "one ticket, Connect JSON",
      targets: tickets.map(({ id }) => connectCall(url, TicketService.method.getTicket, { id })),
    }),
    repeated({
      ...common,
      name: "ticket-signed-in",
      title: "one ticket, Connect JSON, signed in",
      targets: tickets.map(({ id }) =>
        connectCall(url, TicketService.method.getTicket, { id }, people.seller),
      ),
    }),
    repeated({
      ...common,
      name: "ticket-rest",
      title: "one ticket, REST",
      targets: tickets.map(({ id }) => getRequest(`${url}/api/tickets/${id}`)),
    }),
  ];
}

/** Who the caller is, for twenty different users. */
export async function currentUser({ url }: Marketplace, people: People): Promise<Workload[]> {
  const users = await people.buyers(20);
  const common = { ...ours, family: "user", perSecond: 200 };
  return [
    repeated({
      ...common,
      name: "user-connect",
      title: "current user, Connect JSON",
      targets: users.map(({ token }) =>
        connectCall(url, AuthService.method.getCurrentUser, {}, { token }),
      ),
    }),
    repeated({
      ...common,
      name: "user-rest",
      title: "current user, REST",
      targets: users.map(({ token }) => getRequest(`${url}/api/users/currentuser`, { token })),
    }),
  ];
}
