import { closeSync, globSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { execute } from "./install.ts";

/**
 * Makes the programs in `temp` use the libraries that they include, which are later in `home`. The
 * machine's own C library can then be older than the programs expect.
 */
export async function relink(temp: string, home: string, patchelf: string): Promise<void> {
  const lib = join(home, "usr/lib/x86_64-linux-gnu");
  const rpath = ["--force-rpath", "--set-rpath", lib];
  const interpreter = ["--set-interpreter", join(lib, "ld-linux-x86-64.so.2")];
  for (const folder of ["usr/bin", "usr/lib/erlang"]) {
    for (const file of elfFiles(join(temp, folder))) {
      const library = file.endsWith(".so");
      await execute(patchelf, [...(library ? [] : interpreter), ...rpath, file]);
    }
  }
  for (const erl of globSync(join(temp, "usr/lib/erlang/{,erts-*/}bin/erl"))) {
    const script = readFileSync(erl, "utf8");
    const rootdir = `ROOTDIR="${home}/usr/lib/erlang"`;
    writeFileSync(
      erl,
      script.replaceAll(/ROOTDIR=\/.*/g, () => rootdir),
    );
  }
}

function elfFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => startsWithElf(path));
}

function startsWithElf(path: string): boolean {
  const head = Buffer.alloc(4);
  const file = openSync(path, "r");
  readSync(file, head, 0, 4, 0);
  closeSync(file);
  return head.toString("latin1") === "\x7fELF";
}
