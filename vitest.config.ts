import { defineConfig } from "vitest/config";

const endToEnd = (name: string): string => `e2e/${name}.test.ts`;
const outages = [
  "store-outages",
  "messaging-outages",
  "crowd",
  "restart",
  "sessions-in-outage",
  "ban",
  "optimistic-concurrency",
  "faults",
].map(endToEnd);

// Every run has its own servers, folders and ports, so two can run at once.
export default defineConfig({
  test: {
    maxWorkers: 2,
    reporters: ["default"],
    testTimeout: 120_000, // A busy machine is slow, which is not a failure.
    hookTimeout: 120_000,
    expect: { poll: { timeout: 20_000, interval: 20 } },
    projects: [
      {
        extends: true,
        test: {
          name: "services",
          include: ["services/**/*.test.ts", "proto/**/*.test.ts", "web/src/**/*.test.ts"],
          globalSetup: "services/runtime/testing/setup.ts",
          // Each file has its own database and broker; loading the code for each takes half the time.
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          // Each file starts the parts that it needs. Loading the code for each takes a third of the time.
          name: "parts",
          include: [
            "stack/**/*.test.ts",
            "envoy/**/*.test.ts",
            "k8s/**/*.test.ts",
            "bench/**/*.test.ts",
          ],
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          // All files share one marketplace, and run one by one because a test of races needs the machine.
          name: "e2e",
          include: ["e2e/**/*.test.ts"],
          exclude: outages,
          globalSetup: "e2e/testing/setup.ts",
          fileParallelism: false,
          // The files share no state but the marketplace; loading the code once saves a second for each.
          isolate: false,
        },
      },
      {
        extends: true,
        test: {
          // Each file has a marketplace of its own: two run at a time, because they often wait.
          name: "outages",
          include: outages,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
