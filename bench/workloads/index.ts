import { edgeFloors, listFloor, tokenFloor, unaryCalls } from "../floors/workloads.ts";
import type { Floors } from "../floors/servers.ts";
import type { Marketplace } from "../setup/marketplace.ts";
import type { People } from "../setup/people.ts";
import type { Workload } from "../workload.ts";
import { currentUser, listOf100, oneTicket } from "./reads.ts";
import { createTicket, holdTicket } from "./writes.ts";

export interface Parties {
  readonly marketplace: Marketplace;
  readonly people: People;
  readonly floors: Floors;
}

type Family = (parties: Parties) => Promise<readonly Workload[]>;

/** Every family of workloads, each with its floors, by its name on the command line. */
export const families: Readonly<Record<string, Family>> = {
  floors: async ({ floors }) => edgeFloors(floors),
  list: async ({ marketplace, people, floors }) => {
    await people.tickets(100);
    return [...(await listOf100(marketplace)), ...(await listFloor(floors, marketplace))];
  },
  ticket: ({ marketplace, people }) => oneTicket(marketplace, people),
  user: async ({ marketplace, people, floors }) => [
    ...(await currentUser(marketplace, people)),
    ...tokenFloor(floors, people),
  ],
  grpc: async ({ marketplace, floors }) => unaryCalls(floors, marketplace),
  create: ({ marketplace, people }) => createTicket(marketplace, people),
  hold: ({ marketplace, people }) => holdTicket(marketplace, people),
};
