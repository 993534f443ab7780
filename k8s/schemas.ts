import { spawnSync } from "node:child_process";
import { ensurePip } from "#stack/tools";

const version = "1.37.0";

/**
 * Validates the manifests against the schemas of Kubernetes: a line for each invalid manifest, unknown
 * fields included.
 */
export async function faults(documents: readonly object[]): Promise<string[]> {
  const texts = [...new Set(documents.map((document) => JSON.stringify(document)))];
  const spec = `kubernetes-validate==${version}`;
  const home = await ensurePip(`kubernetes-validate-${version}`, spec, { dependencies: true });
  const { stdout, stderr, error } = spawnSync(
    "python3",
    ["-m", "kubernetes_validate", "--kubernetes-version", version, "--strict", "-"],
    {
      env: { ...process.env, PYTHONPATH: home },
      input: texts.join("\n---\n"),
      encoding: "utf8",
    },
  );
  if (error) throw error;
  // A kind without a schema is only a warning, with exit code 0, so the number of valid manifests
  // counts.
  const lines = `${stdout}${stderr}`.split("\n").filter((line) => line !== "");
  const others = lines.filter((line) => !/^INFO .* passed /.test(line));
  if (others.length > 0 || lines.length === texts.length) return others;
  return [`${lines.length} of ${texts.length} manifests were checked`];
}
