import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(join(root, file), "utf8");

/** The text of all sources. Strings that are split over several lines are joined. */
const sources = execFileSync("git", ["ls-files", "services", "stack", "envoy", "web/src"], {
  cwd: root,
  encoding: "utf8",
})
  .split("\n")
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
  .map(read)
  .join("\n")
  .replace(/["`]\s*\+\s*["`]/g, "");

const COMMAND = /^(npm|node|<|[A-Z_]+ )/;

/** The log lines that docs/operations.md quotes: at least three words, and not a command. */
const quoted = [...read("docs/operations.md").matchAll(/`([^`\n]+)`/g)]
  .map(([, text = ""]) => text)
  .filter((text) => text.split(" ").length >= 3 && !COMMAND.test(text));

it.each(quoted)("the code contains the log line that docs/operations.md quotes: %s", (text) => {
  const parts = text.split(/…|<[^>]+>/).map((part) => part.trim());
  expect(parts.filter((part) => !sources.includes(part))).toEqual([]);
});
