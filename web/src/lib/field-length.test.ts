import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";

// `maxlength` counts UTF-16 units and cuts pasted text silently: half of a title of emoji, or the end of a
// password. The services count characters and report what is too long.

const sources = join(import.meta.dirname, "..");

it("no field cuts pasted text", () => {
  const files = globSync("**/*.svelte", { cwd: sources });
  expect(files.length).toBeGreaterThan(0);
  const withMaxLength = files.filter((file) =>
    /maxlength/i.test(readFileSync(join(sources, file), "utf8")),
  );
  expect(withMaxLength).toEqual([]);
});
