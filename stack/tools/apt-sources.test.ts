import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { debianSource } from "./apt-sources.ts";

let etc: string;
beforeEach(() => {
  etc = mkdtempSync(join(tmpdir(), "apt-"));
  mkdirSync(join(etc, "sources.list.d"));
});
afterEach(() => rmSync(etc, { recursive: true }));

const give = (name: string, ...lines: string[]) =>
  writeFileSync(join(etc, name), lines.join("\n") + "\n");

test("reads the mirror of a one-line source", () => {
  give(
    "sources.list",
    "# deb http://old.example/debian bookworm main",
    "deb http://mirror.example/debian-security bookworm-security main",
    "deb [arch=amd64 signed-by=/keys/debian.gpg] https://mirror.example/debian bookworm main contrib",
  );
  expect(debianSource("trixie", etc)).toBe(
    "Types: deb\nURIs: https://mirror.example/debian\nSuites: trixie\nComponents: main\n" +
      "Signed-By: /keys/debian.gpg\nTargets: Packages\n",
  );
});

test("reads the mirror of a deb822 source, and its key unchanged", () => {
  give(
    "sources.list.d/debian.sources",
    "Types: deb deb-src",
    "# a note",
    "URIs: mirror+file:/etc/apt/mirrors.list",
    "Suites: bookworm bookworm-updates",
    "Components: main",
    "Signed-By:",
    " -----BEGIN PGP PUBLIC KEY BLOCK-----",
    " .",
    " abc",
    "",
    "Types: deb",
    "URIs: http://other.example/debian",
    "Suites: sid",
    "Components: main",
  );
  expect(debianSource("trixie", etc)).toContain("URIs: mirror+file:/etc/apt/mirrors.list\n");
  expect(debianSource("trixie", etc)).toContain(
    "Signed-By: -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n",
  );
});

test("finds no mirror in the sources of other systems", () => {
  give("sources.list.d/ubuntu.sources", "Types: deb", "URIs: http://mirror.example/ubuntu");
  give("sources.list", "deb http://mirror.example/ubuntu noble main universe");
  give("sources.list.d/tool.list", "deb https://tool.example/apt stable-tool main");
  expect(debianSource("trixie", etc)).toBeUndefined();
});
