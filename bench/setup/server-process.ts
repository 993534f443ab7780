import { run, until, type Child } from "#stack/process";

/** A server of the benchmark in a process of its own, which prints its ports as a line of JSON. */
export interface ServerProcess<Ports> {
  readonly child: Child;
  readonly ports: Ports;
}

export async function startServer<Ports>(
  name: string,
  file: string,
  env: Readonly<Record<string, string>> = {},
): Promise<ServerProcess<Ports>> {
  const child = run(name, process.execPath, [file], { env });
  const line = await until(() => jsonLineOf(child), { what: `${name} to listen`, child });
  return { child, ports: JSON.parse(line) as Ports };
}

const jsonLineOf = (child: Child): string | undefined =>
  child
    .tail()
    .split("\n")
    .find((line) => line.startsWith("{"));
