import { describe, expect, it } from "vitest";
import { testServer } from "../testing/server.ts";
import { conformanceSuite } from "../testing/conformance.ts";

const { suite, missing } = await conformanceSuite();
const why = missing === undefined ? "" : ` (skipped: ${missing})`;

describe.skipIf(suite === undefined)(`by the official conformance suite, a server${why}`, () => {
  it("passes the tests for Connect, gRPC and gRPC-Web over h2c", async () => {
    if (!suite) return;
    const server = await testServer(suite.routes);
    const versions = ["HTTP_VERSION_2"] as const;
    const { ended, cases, said } = await suite.judge(server.port, { versions });
    expect(ended, said).toBe("code 0");
    expect(cases).toBeGreaterThan(1_000);
  }, 600_000);
});
