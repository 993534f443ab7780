import type { Marketplace } from "../setup/marketplace.ts";
import type { People } from "../setup/people.ts";
import { grpc, repeated, type Workload } from "../workload.ts";
import { connectCall, getRequest } from "../workloads/requests.ts";
import { TicketService } from "@ticketing/proto/tickets/v1/ticket_service";
import { FLOOR_EDGE, FLOOR_NODE, type Floors } from "./servers.ts";

const common = { side: "floor", connections: 32, perSecond: 200 } as const;
const both = [FLOOR_EDGE, FLOOR_NODE];

/** What any request through an Envoy costs. */
export function edgeFloors({ urls }: Floors): Workload[] {
  const floor = (name: string, title: string, url: string, processes: readonly string[]) =>
    repeated({ ...common, family: "floors", name, title, processes, targets: [getRequest(url)] });
  return [
    floor("envoy", "Envoy answers by itself", urls.direct, [FLOOR_EDGE]),
    floor("envoy-node", "Envoy + bare Node, HTTP/1.1", `${urls.http1}/`, both),
    floor("envoy-node-h2", "Envoy + bare Node, HTTP/2", `${urls.http2}/`, both),
  ];
}

/** The bytes of the list, which bare Node has ready. */
export async function listFloor({ urls }: Floors, { url }: Marketplace): Promise<Workload[]> {
  const {
    url: path,
    headers,
    body,
  } = connectCall(url, TicketService.method.listTickets, { pageSize: 100 });
  const list = await fetch(path, { method: "POST", headers, body: Buffer.from(body ?? []) });
  const { byteLength } = await list.arrayBuffer();
  return [
    repeated({
      ...common,
      family: "list",
      name: "list-bytes",
      title: "Envoy + bare Node with the same bytes",
      processes: both,
      targets: [getRequest(`${urls.http1}/bytes/${byteLength}`)],
    }),
  ];
}

/** A request whose token Envoy checks, as the edge does for the current user. */
export const tokenFloor = ({ urls }: Floors, { seller }: People): Workload[] => [
  repeated({
    ...common,
    family: "user",
    name: "envoy-token-node",
    title: "Envoy with token check + bare Node",
    processes: both,
    targets: [getRequest(`${urls.token}/`, seller)],
  }),
];

/** A unary call of the empty health check: our server beside a library, and beside Node by hand. */
export function unaryCalls(
  { grpcByHand, grpcJs }: Floors,
  { descriptors, system }: Marketplace,
): Workload[] {
  const call = (address: string) => ({
    address,
    descriptors,
    method: "grpc.health.v1.Health/Check",
    request: {},
  });
  const unary = { ...common, family: "grpc", connections: 32 };
  return [
    grpc({
      ...unary,
      side: "ours",
      name: "grpc-ours",
      title: "gRPC unary, our server",
      processes: ["tickets"],
      call: call(system.instances.tickets[0]?.rpc ?? ""),
    }),
    grpc({
      ...unary,
      name: "grpc-js",
      title: "gRPC unary, @grpc/grpc-js",
      processes: [FLOOR_NODE],
      call: call(grpcJs),
    }),
    grpc({
      ...unary,
      name: "grpc-http2",
      title: "gRPC unary, bare http2",
      processes: [FLOOR_NODE],
      call: call(grpcByHand),
    }),
  ];
}
