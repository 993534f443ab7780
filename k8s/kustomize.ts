import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { execute, debianSource, install } from "#stack/tools";

/** Renders a kustomization in this folder as YAML. */
export async function render(folder: string): Promise<string> {
  const [program, ...args] = await kustomize();
  return execute(program, [...args, join(import.meta.dirname, folder)]);
}

/** Kustomize 5: as a part of kubectl, as a program, or unpacked from Debian 13 into .tools. */
async function kustomize(): Promise<[program: string, ...args: string[]]> {
  const kubectl = await execute("kubectl", ["version", "--client"]).catch(() => "");
  if (/Kustomize Version: v5\./.test(kubectl)) return ["kubectl", "kustomize"];
  const own = await execute("kustomize", ["version"]).catch(() => "");
  if (/\bv5\./.test(own)) return ["kustomize", "build"];
  return [join(await fromDebian(), "usr/bin/kustomize"), "build"];
}

/** It needs no other package of Debian 13, and runs with the C library of Debian 12. */
function fromDebian(): Promise<string> {
  const fill = async (temp: string): Promise<void> => {
    const source = debianSource("trixie");
    if (source === undefined) {
      throw new Error("Kustomize is missing, and apt knows no Debian mirror: put kubectl on PATH.");
    }
    const apt = join(temp, "apt");
    mkdirSync(join(apt, "lists/partial"), { recursive: true });
    mkdirSync(join(apt, "cache/archives/partial"), { recursive: true });
    writeFileSync(join(apt, "debian.sources"), source);
    writeFileSync(join(apt, "status"), "");
    const options = [
      `Dir::Etc::sourcelist=${apt}/debian.sources`,
      "Dir::Etc::sourceparts=/dev/null",
      `Dir::State::lists=${apt}/lists`,
      `Dir::State::status=${apt}/status`,
      `Dir::Cache=${apt}/cache`,
      "APT::Sandbox::User=", // root would become a user who may not write here
      "Debug::NoLocking=true",
      "Acquire::Languages=none",
      "Acquire::Retries=3",
    ].flatMap((option) => ["--option", option]);
    await execute("apt-get", ["-q", ...options, "update"]);
    await execute("apt-get", ["-q", ...options, "download", "kustomize"], { cwd: apt });
    const deb = readdirSync(apt).find((file) => file.endsWith(".deb"));
    await execute("dpkg", ["-x", join(apt, deb ?? ""), temp]);
    rmSync(apt, { recursive: true });
  };
  return install("kustomize-debian-13", fill, console.log);
}
