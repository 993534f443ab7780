import { join } from "node:path";
import {
  ownerVariables,
  servicesWithDatabase,
  servicesWithoutDatabase,
  type Parts,
  type ServiceName,
} from "#stack/parts";
import { startInstance, type Instance } from "./instance.ts";

export type { ServiceName };

/** Every service of the catalogue. */
export const services: readonly ServiceName[] = [
  ...servicesWithDatabase,
  ...servicesWithoutDatabase,
];

export const hasDatabase = (service: ServiceName): boolean =>
  (servicesWithDatabase as readonly ServiceName[]).includes(service);

/** A server that services reach by an address, and that a test can make unreachable. */
export type PartName = "broker" | "database" | "redis" | "smtp";

/** The variables that hold the address of a part. */
const PART_VARIABLES: Readonly<Record<string, PartName>> = {
  AMQP_URI: "broker",
  MONGODB_URI: "database",
  REDIS_URI: "redis",
  SMTP_URL: "smtp",
};

export type Variables = Readonly<Record<string, string>>;

export interface ServiceOptions {
  /** Contains all data, logs and secrets. The next start finds them again. */
  readonly dir: string;
  /** The number of instances of each service, 1 by default. */
  readonly instances?: number;
  /** Variables for all services, such as shorter holds and higher limits. */
  readonly env?: Variables;
  /** Replaces the address of a part for a service, for example by that of a proxy. */
  readonly via?: (part: PartName, url: string, service: ServiceName) => Promise<string>;
  /** Receives each line of output of a process. */
  readonly onLine?: (name: string, line: string) => void;
}

/** The value of a variable of this process. An empty value, as in `.env.example`, is undefined. */
export const fromEnvironment = (name: string): string | undefined => process.env[name] || undefined;

/** Starts all instances of one service. */
export async function startService(
  service: ServiceName,
  options: ServiceOptions,
  parts: Parts,
  variables: Variables,
): Promise<Instance[]> {
  const { dir, instances = 1, onLine } = options;
  const own = await withParts(service, options, { ...baseVariables(service, parts), ...variables });
  const names =
    instances === 1
      ? [service]
      : Array.from({ length: instances }, (_, index) => `${service}-${index + 1}`);
  return Promise.all(
    names.map((name) =>
      startInstance({
        name,
        service,
        env: { ...ownerVariables(dir), ...own, ...options.env },
        logFile: join(dir, "logs", `${name}.log`),
        onLine: (line) => onLine?.(name, line),
      }),
    ),
  );
}

function baseVariables(service: ServiceName, parts: Parts): Variables {
  return {
    AMQP_URI: parts.amqpUrl(service),
    ...(hasDatabase(service) ? { MONGODB_URI: parts.mongoUrl(service) } : {}),
    // The edge stops before the services, so they have no calls to drain.
    SHUTDOWN_DRAIN_SECONDS: fromEnvironment("SHUTDOWN_DRAIN_SECONDS") ?? "0",
  };
}

/** The variables with the addresses that `via` gives for the parts. */
async function withParts(
  service: ServiceName,
  { via }: ServiceOptions,
  variables: Variables,
): Promise<Variables> {
  if (!via) return variables;
  const entries = Object.entries(variables).map(async ([name, value]) => {
    const part = PART_VARIABLES[name];
    return [name, part ? await via(part, value, service) : value] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}
