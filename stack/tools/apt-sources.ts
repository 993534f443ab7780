import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

type Stanza = Readonly<Record<string, string>>;

const suites = /^(bullseye|bookworm|trixie|forky|duke|oldstable|stable|testing|unstable|sid)$/;
const keyrings = ["pgp", "gpg"].map((end) => `/usr/share/keyrings/debian-archive-keyring.${end}`);

/**
 * A source for Debian's `release`, at the mirror that the machine's own apt uses for its Debian,
 * with the same keys. Undefined if apt has no Debian mirror, as on Ubuntu.
 */
export function debianSource(release: string, etc = "/etc/apt"): string | undefined {
  const ours = read(etc).find(
    (stanza) =>
      stanza["enabled"] !== "no" &&
      words(stanza["types"]).includes("deb") &&
      words(stanza["components"]).includes("main") &&
      words(stanza["suites"]).some((suite) => suites.test(suite)),
  );
  const [uri] = words(ours?.["uris"]);
  if (ours === undefined || uri === undefined) return undefined;
  const keys = ours["signed-by"] ?? keyrings.find((path) => existsSync(path));
  const lines = ["Types: deb", `URIs: ${uri}`, `Suites: ${release}`, "Components: main"];
  if (keys !== undefined) lines.push(`Signed-By: ${keys}`);
  if (ours["trusted"] !== undefined) lines.push(`Trusted: ${ours["trusted"]}`);
  // Otherwise apt also fetches the metadata that the machine's desktop requests for packages.
  return [...lines, "Targets: Packages", ""].join("\n");
}

function read(etc: string): Stanza[] {
  const parts = join(etc, "sources.list.d");
  const files = existsSync(parts) ? readdirSync(parts).sort() : [];
  return [join(etc, "sources.list"), ...files.map((file) => join(parts, file))]
    .filter((path) => /\.(list|sources)$/.test(path) && existsSync(path))
    .flatMap((path) => {
      const text = readFileSync(path, "utf8");
      return path.endsWith(".list") ? readLines(text) : readStanzas(text);
    });
}

/** `deb [signed-by=/key] http://mirror/debian bookworm main` */
function readLines(text: string): Stanza[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*(deb)\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)\s+([^#]*)/.exec(line);
    if (match === null) return [];
    const [, types = "", options, uris = "", suite = "", components = ""] = match;
    const pairs = words(options).map((option) => option.toLowerCase().split("=", 1).concat(option));
    const given = pairs.map(([key = "", option = ""]) => [key, option.slice(key.length + 1)]);
    return [{ ...Object.fromEntries(given), types, uris, suites: suite, components }];
  });
}

/** The newer format, deb822: `Key: value` lines with indented continuations, in stanzas. */
function readStanzas(text: string): Stanza[] {
  const withoutComments = text.replace(/^#.*\n/gm, "");
  return withoutComments.split(/\n\s*\n/).map((block) => {
    const fields = [...block.matchAll(/^([A-Za-z-]+):((?:.*)(?:\n[ \t].*)*)/gm)];
    return Object.fromEntries(
      fields.map(([, key = "", value = ""]) => [key.toLowerCase(), value.trim()]),
    );
  });
}

function words(text = ""): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
