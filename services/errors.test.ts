import { globSync } from "node:fs";
import { join } from "node:path";
import type { Code } from "@connectrpc/connect";
import { expect, it } from "vitest";
import { CallError } from "#runtime/errors.ts";

// A client reads a reason without knowing which service returned it.

type Codes = Readonly<Record<string, Code>>;

const files = globSync("*/errors.ts", { cwd: import.meta.dirname }).filter(
  (file) => !file.startsWith("runtime/"),
);
const tables: Codes[] = await Promise.all(
  files.map(async (file) => {
    const module = (await import(join(import.meta.dirname, file))) as Record<string, object>;
    return (Object.values(module)[0] as { codes: Codes }).codes;
  }),
);

it("a reason has the same code in every service", () => {
  expect(tables.length).toBeGreaterThan(3);
  const codes = new Map<string, Code>(Object.entries(CallError.codes));
  for (const [reason, code] of tables.flatMap((table) => Object.entries(table))) {
    expect({ reason, code }).toEqual({ reason, code: codes.get(reason) ?? code });
    codes.set(reason, code);
  }
});

it("no service redefines a common reason", () => {
  const own = tables.flatMap((table) => Object.keys(table));
  expect(own.filter((reason) => reason in CallError.codes)).toEqual([]);
});
