import { startEventParts, type EventParts } from "../events/parts.ts";
import { startNecessaryWrites, type NecessaryWrites } from "../floors/necessary-writes.ts";
import { startFloors, type Floors } from "../floors/servers.ts";
import type { Measured } from "../measure/processes.ts";
import { startRival, type Rival } from "../rival/start.ts";
import { startMeasured, type Marketplace } from "./marketplace.ts";
import { signUpPeople, type People } from "./people.ts";

/** Everything that runs during a benchmark. */
export interface Parties {
  readonly marketplace: Marketplace;
  readonly people: People;
  readonly floors: Floors;
  readonly rival: Rival;
  readonly writes: NecessaryWrites;
  /** A broker and a database for single events. They start when they are first asked for. */
  eventParts(): Promise<EventParts>;
  /** The processes of all that was started. */
  measured(): readonly Measured[];
}

export async function startParties(
  cleanup: AsyncDisposableStack,
  log: (line: string) => void,
): Promise<Parties> {
  const marketplace = await startMeasured(log);
  cleanup.defer(() => marketplace.close());
  const rival = await startRival(marketplace);
  cleanup.defer(() => rival.stop());
  const floors = await startFloors(marketplace, rival.port);
  cleanup.defer(() => floors.stop());
  const writes = await startNecessaryWrites(marketplace);
  cleanup.defer(() => writes.stop());

  let events: EventParts | undefined;
  return {
    marketplace,
    people: await signUpPeople(marketplace),
    floors,
    rival,
    writes,
    async eventParts() {
      if (events) return events;
      const started = await startEventParts();
      cleanup.defer(() => started.stop());
      return (events = started);
    },
    measured: () =>
      [marketplace, rival, floors, writes, events].flatMap((party) => party?.processes ?? []),
  };
}
