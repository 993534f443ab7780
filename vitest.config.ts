import { defineConfig } from "vitest/config";

const endToEnd = (name: string): string => `e2e/${name}.test.ts`;
const outages = ["crowd", "part-outages", "restart", "sessions-in-outage"].map(endToEnd);
const faults = ["ban", "faults", "optimistic-concurrency"].map(endToEnd);

// Every run has servers, folders and ports of its own, so that two may run side by side.
export default defineConfig({
  test: {
    maxWorkers: 2,
    reporters: ["default"],
    testTimeout: 120_000, // A busy machine is slow, and that is no failure.
    hookTimeout: 120_000,
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
          // They start what they need by themselves.
          name: "parts",
          include: ["stack/**/*.test.ts", "envoy/**/*.test.ts", "k8s/**/*.test.ts"],
        },
      },
      {
        extends: true,
        test: {
          // One marketplace for all of them; a test of races wants the machine for itself.
          name: "e2e",
          include: ["e2e/**/*.test.ts"],
          exclude: [...outages, ...faults],
          globalSetup: "e2e/testing/setup.ts",
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          // Marketplaces of their own, in which a part is away: two at a time, for they often wait.
          name: "outages",
          include: outages,
          hookTimeout: 180_000,
        },
      },
      {
        extends: true,
        test: {
          // Marketplaces of their own, in which things are killed under load.
          name: "faults",
          include: faults,
          fileParallelism: false,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
