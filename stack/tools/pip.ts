import { execute, install, type Log } from "./install.ts";

/**
 * Installs a package of PyPI into `.tools/<name>` and returns that folder. The name contains the
 * version, so that a new version is installed beside the old one.
 */
export function ensurePip(
  name: string,
  spec: string,
  options: { log?: Log; dependencies?: boolean } = {},
): Promise<string> {
  const { log = console.log, dependencies = false } = options;
  const flags = ["--quiet", "--no-compile", "--disable-pip-version-check", "--no-warn-conflicts"];
  if (!dependencies) flags.push("--no-deps");
  return install(
    name,
    async (temp) => {
      const python = await findPython();
      await execute(python, ["-m", "pip", "install", ...flags, "--target", temp, spec]);
    },
    log,
  );
}

async function findPython(): Promise<string> {
  for (const python of ["python3", "/usr/bin/python3"]) {
    try {
      await execute(python, ["-m", "pip", "--version"]);
      return python;
    } catch {
      // This Python is absent or has no pip. The next one is tried.
    }
  }
  throw new Error("python3 with pip is needed (the package python3-pip)");
}
