import { join } from "node:path";
import { freePorts, run, until } from "#stack/process";
import { ensureTools } from "#stack/tools";
import type { Measured } from "../measure/processes.ts";
import { startServer } from "../setup/server-process.ts";
import type { Marketplace } from "../setup/marketplace.ts";
import { floorConfig, paths } from "./envoy.ts";

/** The names of the processes of the floors. */
export const FLOOR_EDGE = "floor-edge";
export const FLOOR_NODE = "floor-node";

/** The bare parts, which run beside the marketplace. */
export interface Floors {
  /** The URL behind Envoy of each path. */
  readonly urls: Readonly<Record<keyof typeof paths, string>>;
  /** The addresses of the gRPC servers, without Envoy. */
  readonly grpcByHand: string;
  readonly grpcJs: string;
  readonly processes: readonly Measured[];
  stop(): Promise<void>;
}

type HelloPorts = Record<"http1" | "http2" | "grpcByHand" | "grpcJs", number>;

/** Starts Envoy with the least configuration, and Node servers behind it. */
export async function startFloors({ system }: Marketplace, rivalPort: number): Promise<Floors> {
  const { envoy } = await ensureTools(["envoy"]);
  const file = join(import.meta.dirname, "hello.ts");
  const { child: node, ports: hello } = await startServer<HelloPorts>(FLOOR_NODE, file);
  const [edge, admin] = (await freePorts(2)) as [number, number];
  const jwks = await fetch(`http://${system.instances.auth[0]?.http}/.well-known/jwks.json`);
  const config = floorConfig(
    { edge, admin, ...hello, rival: rivalPort },
    { issuer: "ticketing", keys: await jwks.text() },
  );
  const args = ["--config-yaml", JSON.stringify(config), "--concurrency", "2"];
  const child = run(FLOOR_EDGE, envoy, [...args, "--log-level", "warn", "--disable-hot-restart"]);
  const base = `http://127.0.0.1:${edge}`;
  const responds = async () => (await fetch(`${base}${paths.http1}/`)).ok;
  await until(responds, { what: "the bare Envoy", child });
  const urls = Object.entries(paths).map(([name, path]) => [name, base + path]);
  return {
    urls: Object.fromEntries(urls) as Floors["urls"],
    grpcByHand: `127.0.0.1:${hello.grpcByHand}`,
    grpcJs: `127.0.0.1:${hello.grpcJs}`,
    processes: [node, child].map(({ name, pid }) => ({ name, pid })),
    async stop() {
      await child.stop();
      await node.stop();
    },
  };
}
