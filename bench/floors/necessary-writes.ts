import { join } from "node:path";
import { startServer } from "../setup/server-process.ts";
import type { Outcome } from "../load/load.ts";
import type { Measured } from "../measure/processes.ts";
import type { Marketplace } from "../setup/marketplace.ts";
import { custom, type Workload } from "../workload.ts";
import { loads } from "../workloads/loads.ts";
import type { Change } from "./steps.ts";
import type { Work } from "./writes.ts";

const FLOOR_WRITES = "floor-writes";
const VHOST = "floors";

/** The process with only the necessary writes of a change. */
export interface NecessaryWrites {
  perform(work: Work): Promise<Outcome>;
  readonly processes: readonly Measured[];
  stop(): Promise<void>;
}

export async function startNecessaryWrites({ system }: Marketplace): Promise<NecessaryWrites> {
  const { mongo, rabbit } = system.parts;
  const { child, ports } = await startServer<{ port: number }>(
    FLOOR_WRITES,
    join(import.meta.dirname, "writes.ts"),
    {
      FLOOR_MONGO_URL: mongo?.adminUrl ?? "",
      FLOOR_AMQP_URL: (await rabbit?.createVhost(VHOST)) ?? "",
    },
  );
  return {
    async perform(work) {
      const request = { method: "POST", body: JSON.stringify(work) };
      const response = await fetch(`http://127.0.0.1:${ports.port}`, request);
      if (!response.ok) throw new Error(`the necessary writes failed: ${await response.text()}`);
      return (await response.json()) as Outcome;
    },
    processes: [{ name: child.name, pid: child.pid }],
    stop: () => child.stop(),
  };
}

/** The floor of a change. */
export const writeFloor = (writes: NecessaryWrites, change: Change): Workload =>
  custom({
    ...loads[change],
    side: "floor",
    family: change,
    name: `${change}-writes`,
    title: "its majority writes and confirms alone",
    processes: [FLOOR_WRITES, "mongod", "rabbitmq"],
    run: (count, arrivals) => writes.perform({ change, count, arrivals }),
  });
