import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { testServer } from "#runtime/testing/server.ts";
import { conformanceSuite } from "#runtime/testing/conformance.ts";
import { ensureTools } from "#stack/tools";
import { startEdgeFixture } from "./testing/edge-fixture.ts";

const { suite, missing } = await conformanceSuite();
const why = missing === undefined ? "" : ` (skipped: ${missing})`;

/** A program that starts Envoy with the routes for the service of the suite. */
async function envoyWithDetour(): Promise<string> {
  const { envoy } = await ensureTools(["envoy"], () => {});
  const dir = mkdtempSync(join(tmpdir(), "detour-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const program = join(dir, "envoy");
  const words = [
    process.execPath,
    join(import.meta.dirname, "testing/conformance-envoy.ts"),
    envoy,
  ];
  const quoted = words.map((word) => `'${word}'`).join(" ");
  writeFileSync(program, `#!/bin/sh\nexec ${quoted} "$@"\n`, { mode: 0o755 });
  return program;
}

const flaky = [
  // The edge may respond before the runner has sent its whole request. The runner then mistakes the end
  // of its own request for the end of the call.
  "gRPC-Web Unexpected Requests/**/unexpected-uri",
  // On a busy machine a call may take half a second to arrive, and its remaining deadline is shorter.
  "Deadline Propagation/**",
];

describe.skipIf(suite === undefined)(
  `the official conformance suite, through the edge${why}`,
  () => {
    it("passes for Connect, gRPC and gRPC-Web, over HTTP/1.1 and HTTP/2", async () => {
      if (!suite) return;
      const server = await testServer(suite.routes);
      const variables = {
        ENVOY: await envoyWithDetour(),
        TICKETS_RPC_ADDRESSES: `127.0.0.1:${server.port}`,
      };
      await using fixture = await startEdgeFixture({ variables });
      const { ended, cases, said } = await suite.judge(Number(new URL(fixture.edge.url).port), {
        versions: ["HTTP_VERSION_1", "HTTP_VERSION_2"],
        flaky,
      });
      expect(ended, said).toBe("code 0");
      expect(cases).toBeGreaterThan(1_000);
    }, 600_000);
  },
);
