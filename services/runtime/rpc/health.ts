import { EventEmitter, on } from "node:events";
import { Code, ConnectError, type ServiceImpl } from "@connectrpc/connect";
import type { Health } from "@ticketing/proto/grpc/health/v1/health";
import { HealthCheckResponse_ServingStatus as Status } from "@ticketing/proto/grpc/health/v1/health";

/**
 * The health of this process by name: "" is the whole process, which the edge and the cluster check;
 * `broker` is the connection to RabbitMQ, without which reads still work.
 */
export class HealthState {
  readonly #serving = new Map<string, boolean>();
  readonly #changes = new EventEmitter().setMaxListeners(0);

  set(name: string, serving: boolean): void {
    if (this.#serving.get(name) === serving) return;
    this.#serving.set(name, serving);
    this.#changes.emit("change");
  }

  get(name: string): boolean | undefined {
    return this.#serving.get(name);
  }

  /** Every name and its status, in readable form, for the readiness route. */
  all(): Record<string, string> {
    const words = [...this.#serving].map(([name, serving]) => [
      name === "" ? "overall" : name,
      serving ? "serving" : "not serving",
    ]);
    return Object.fromEntries(words) as Record<string, string>;
  }

  /** Resumes at every change until the signal is aborted. */
  changes(signal: AbortSignal): AsyncIterable<unknown> {
    return on(this.#changes, "change", { signal });
  }
}

/** `grpc.health.v1`, the protocol of probes and load balancers. */
export function healthService(health: HealthState): ServiceImpl<typeof Health> {
  const status = (name: string): Status => {
    const serving = health.get(name);
    if (serving === undefined) return Status.SERVICE_UNKNOWN;
    return serving ? Status.SERVING : Status.NOT_SERVING;
  };
  return {
    check({ service }) {
      const found = status(service);
      if (found === Status.SERVICE_UNKNOWN)
        throw new ConnectError("no such service", Code.NotFound);
      return { status: found };
    },
    list() {
      const names = Object.keys(health.all()).map((name) => (name === "overall" ? "" : name));
      return {
        statuses: Object.fromEntries(names.map((name) => [name, { status: status(name) }])),
      };
    },
    async *watch({ service }, { signal }) {
      let told = status(service);
      yield { status: told };
      try {
        for await (const _ of health.changes(signal)) {
          if (status(service) === told) continue;
          told = status(service);
          yield { status: told };
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    },
  };
}
