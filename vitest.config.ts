import { defineConfig } from "vitest/config";

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
          globalSetup: "services/runtime/testing-setup.ts",
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
          exclude: ["away", "faults", "ban", "crowd", "outage", "restart", "unguarded"].map(
            (name) => `e2e/${name}.test.ts`,
          ),
          globalSetup: "e2e/setup.ts",
          fileParallelism: false,
        },
      },
      {
        extends: true,
        test: {
          // Marketplaces of their own, in which things are killed.
          name: "faults",
          include: ["away", "faults", "ban", "crowd", "outage", "restart", "unguarded"].map(
            (name) => `e2e/${name}.test.ts`,
          ),
          fileParallelism: false,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
