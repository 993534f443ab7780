import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

// A browser counts UTF-16 units, and cuts what is pasted without a word: half of a title of emoji, or the
// end of a password. The services count characters, and say what is too long.

const sources = join(import.meta.dirname, "..");

it("no field cuts what is pasted into it", () => {
  const files = globSync("**/*.svelte", { cwd: sources });
  expect(files.length).toBeGreaterThan(0);
  const cutting = files.filter((file) =>
    /maxlength/i.test(readFileSync(join(sources, file), "utf8")),
  );
  expect(cutting).toEqual([]);
});
