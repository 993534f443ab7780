import type { Outcome } from "../load/load.ts";
import type { Pass, Side, Workload } from "../workload.ts";
import { publishToConsume, saveToCopy } from "./latency.ts";
import type { EventParts } from "./parts.ts";
import { bareConsumer, consumeAll, fill, ourConsumer } from "./throughput.ts";

const PER_SECOND = 200;
const EVENTS_PER_SECOND = 5_000;

/** In the closed loop one consumer empties a full queue; in the open loop changes arrive at a fixed rate. */
export function eventWorkloads(parts: EventParts): Workload[] {
  const processes = parts.processes.map(({ name }) => name);
  const workload = (
    of: { name: string; title: string; side: Side },
    consumer: ReturnType<typeof ourConsumer>,
    latency: typeof saveToCopy,
  ): Workload => ({
    ...of,
    family: "events",
    processes,
    async prepare(pass: Pass) {
      if (pass.loop === "open") {
        const arrivals = { loop: "open", perSecond: PER_SECOND } as const;
        return (): Promise<Outcome> => latency(parts, PER_SECOND * pass.seconds, arrivals);
      }
      const count = pass.loop === "warm-up" ? pass.requests : EVENTS_PER_SECOND * pass.seconds;
      const channel = await parts.raw.createConfirmChannel();
      await fill(channel, count);
      await channel.close();
      return () => consumeAll(consumer, count);
    },
  });
  return [
    workload(
      { name: "events", title: "event to the last copy; our consumer", side: "ours" },
      ourConsumer(parts),
      saveToCopy,
    ),
    workload(
      { name: "events-bare", title: "publish to consume, bare amqplib", side: "floor" },
      bareConsumer(parts),
      publishToConsume,
    ),
  ];
}
