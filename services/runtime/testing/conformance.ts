import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import {
  create,
  createFileRegistry,
  fromBinary,
  setExtension,
  toBinary,
  type DescService,
  type FileRegistry,
} from "@bufbuild/protobuf";
import { FileDescriptorSetSchema, MethodOptionsSchema } from "@bufbuild/protobuf/wkt";
import { Access, access } from "@ticketing/proto/options/v1/options";
import { run } from "#stack/process";
import { ensureGo, goModule } from "#stack/tools";
import type { Routes } from "../rpc/server.ts";
import { conformanceRoutes } from "./conformance-service.ts";

// The official conformance suite for Connect, gRPC and gRPC-Web (github.com/connectrpc/conformance). Its
// reference clients call our server and check each response.

const MODULE = "connectrpc.com/conformance";
const VERSION = "v1.0.7";
const PACKAGE = "connectrpc.conformance.v1";

export interface Suite {
  /** The suite's service, open to everyone. */
  readonly service: DescService;
  readonly routes: Routes;
  /** Runs every case that the features imply against the server at this port of 127.0.0.1. */
  judge(port: number, options: JudgeOptions): Promise<Verdict>;
}

interface JudgeOptions {
  readonly versions: readonly ("HTTP_VERSION_1" | "HTTP_VERSION_2")[];
  /** Patterns of the cases that may fail. */
  readonly flaky?: readonly string[];
}

export interface Verdict {
  /** "code 0" if every case has passed. */
  readonly ended: string;
  readonly cases: number;
  /** Each failed case with its reason, and the number of cases. */
  readonly said: string;
}

/** The suite, or the reason why it is not available. The first run builds it from its Go module. */
export const conformanceSuite = (): Promise<
  { suite: Suite; missing?: undefined } | { suite?: undefined; missing: string }
> =>
  load().then(
    (suite) => ({ suite }),
    (error: Error) => ({ missing: error.message }),
  );

async function load(): Promise<Suite> {
  const program = await ensureGo(`${MODULE}/cmd/connectconformance@${VERSION}`, () => {});
  const registry = await contracts(await goModule(`${MODULE}@${VERSION}`));
  const service = registry.getService(`${PACKAGE}.ConformanceService`);
  if (!service) throw new Error("the suite has no service");
  return {
    service,
    routes: conformanceRoutes(service, registry),
    judge: (port, options) => judge(program, stubOf(registry, port), options),
  };
}

/**
 * The suite's contracts, as in its module. Our server requires declared access; here it is open to everyone.
 */
async function contracts(folder: string): Promise<FileRegistry> {
  const buf = join(import.meta.dirname, "../../../node_modules/.bin/buf");
  const args = ["build", folder, "--as-file-descriptor-set", "--output", "-"];
  const { stdout } = await promisify(execFile)(buf, args, { encoding: "buffer" });
  const set = fromBinary(FileDescriptorSetSchema, stdout);
  for (const method of set.file.flatMap(({ service }) => service).flatMap((each) => each.method)) {
    method.options ??= create(MethodOptionsSchema);
    setExtension(method.options, access, Access.ANYONE);
  }
  return createFileRegistry(set);
}

/** The runner starts a command for each server. Ours reports the server that already runs. */
function stubOf(registry: FileRegistry, port: number): string[] {
  const schema = registry.getMessage(`${PACKAGE}.ServerCompatResponse`);
  if (!schema) throw new Error("the suite has no answer of a server");
  const message = toBinary(schema, create(schema, { port } as Record<string, unknown>));
  const frame = Buffer.alloc(4 + message.byteLength);
  frame.writeUInt32BE(message.byteLength);
  frame.set(message, 4);
  const octal = [...frame].map((byte) => `\\${byte.toString(8).padStart(3, "0")}`).join("");
  return ["sh", "-c", `printf '${octal}'; exec sleep 3600`];
}

const FEATURES = {
  protocols: ["PROTOCOL_CONNECT", "PROTOCOL_GRPC", "PROTOCOL_GRPC_WEB"],
  codecs: ["CODEC_PROTO", "CODEC_JSON"],
  compressions: ["COMPRESSION_IDENTITY", "COMPRESSION_GZIP"],
  supportsH2c: true,
  supportsTls: false,
  supportsConnectGet: true,
  supportsMessageReceiveLimit: true,
};

// These cases send messages of the maximum size, for which the runner assumes 200 KiB. Our limit is 64 KiB,
// and wire.test.ts sends a message of exactly that size. The runner requires that the listed cases fail.
const FAILING = [
  "Server Message Size/**/unary/request-equal-to-server-limit",
  "Server Message Size/**/client-stream/all-requests-equal-to-server-limit",
  "Server Message Size/**/server-stream/request-equal-to-server-limit",
  "Server Message Size/**/bidi-stream/*/all-requests-equal-to-server-limit",
];

async function judge(program: string, stub: string[], options: JudgeOptions): Promise<Verdict> {
  const { versions, flaky = [] } = options;
  const dir = mkdtempSync(join(tmpdir(), "conformance-"));
  const config = join(dir, "config.yaml"); // Every JSON document is valid YAML.
  writeFileSync(config, JSON.stringify({ features: { ...FEATURES, versions } }));
  const lines: string[] = [];
  const child = run(
    "connectconformance",
    program,
    [
      ...["--mode", "server", "--conf", config, "--parallel", "2"],
      ...FAILING.flatMap((pattern) => ["--known-failing", pattern]),
      ...flaky.flatMap((pattern) => ["--known-flaky", pattern]),
      ...["--", ...stub],
    ],
    { onLine: (line) => void lines.push(line) },
  );
  try {
    const ended = await child.exited;
    const said = lines.join("\n");
    return { ended, said, cases: Number(/^Total cases: (\d+)/m.exec(said)?.[1] ?? 0) };
  } finally {
    rmSync(dir, { recursive: true });
  }
}
