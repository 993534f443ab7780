import { eventWorkloads } from "../events/workloads.ts";
import { writeFloor } from "../floors/necessary-writes.ts";
import { edgeFloors, listFloor, tokenFloor, unaryCalls } from "../floors/workloads.ts";
import { rivalCreate, rivalHold, rivalList, rivalTicket, rivalUser } from "../rival/workloads.ts";
import type { Parties } from "../setup/parties.ts";
import type { Workload } from "../workload.ts";
import { crowdOn } from "./crowd.ts";
import { purchase } from "./purchases.ts";
import { currentUser, listOf100, oneTicket } from "./reads.ts";
import { firstPage, signIn } from "./visits.ts";
import { createTicket, holdTicket } from "./writes.ts";

type Family = (parties: Parties) => Promise<readonly Workload[]>;

/** Every family of workloads, each with its floors and its rival, by its name on the command line. */
export const families: Readonly<Record<string, Family>> = {
  floors: async ({ floors }) => edgeFloors(floors),
  list: async ({ marketplace, people, floors, rival }) => {
    await people.tickets(100);
    return [
      ...listOf100(marketplace),
      ...(await listFloor(floors, marketplace)),
      ...(await rivalList(floors, rival)),
    ];
  },
  ticket: async ({ marketplace, people, floors, rival }) => [
    ...(await oneTicket(marketplace, people)),
    ...(await rivalTicket(floors, rival)),
  ],
  user: async ({ marketplace, people, floors, rival }) => [
    ...(await currentUser(marketplace, people)),
    ...tokenFloor(floors, people),
    ...rivalUser(floors, rival),
  ],
  grpc: async ({ marketplace, floors }) => unaryCalls(floors, marketplace),
  "sign-in": async ({ marketplace, people }) => signIn(marketplace, people),
  create: async ({ marketplace, people, floors, rival, writes }) => [
    createTicket(marketplace, people),
    writeFloor(writes, "create"),
    ...rivalCreate(floors, rival),
  ],
  hold: async ({ marketplace, people, floors, rival, writes }) => [
    await holdTicket(marketplace, people),
    writeFloor(writes, "hold"),
    ...rivalHold(floors, rival),
  ],
  purchase: async ({ marketplace, people, writes }) => [
    await purchase(marketplace, people),
    writeFloor(writes, "purchase"),
  ],
  crowd: async ({ marketplace, people }) => [
    await crowdOn(200, marketplace, people),
    await crowdOn(500, marketplace, people),
  ],
  events: async ({ eventParts }) => eventWorkloads(await eventParts()),
  storefront: async ({ marketplace }) => firstPage(marketplace),
};

/** Families whose ratios are to the figures of another one. */
const needed: Readonly<Record<string, readonly string[]>> = {
  list: ["floors"],
  ticket: ["floors"],
  storefront: ["floors"],
};

/** The chosen families and what they are compared with, or all of them. */
export function chooseFamilies(names: readonly string[]): string[] {
  const wanted = new Set(names.flatMap((name) => [name, ...(needed[name] ?? [])]));
  return Object.keys(families).filter((name) => names.length === 0 || wanted.has(name));
}
