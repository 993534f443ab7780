import { describe, expect, it } from "vitest";
import { faults } from "./schemas.ts";
import { container, find, manifests, type Manifest } from "./testing.ts";

const base = await manifests("base");
const local = await manifests("local");
await faults([]); // the schemas may have to be installed first, which takes longer than a test may

describe("the schemas of Kubernetes", { timeout: 60_000 }, () => {
  it("accept every manifest, without unknown fields", async () => {
    expect(await faults([...base, ...local])).toEqual([]);
  });

  it("reject a misspelt field, a wrong type, a missing field and an unknown kind", async () => {
    const broken = (breakIt: (deployment: Manifest) => unknown): Manifest => {
      const deployment = structuredClone(find(base, "Deployment", "orders"));
      breakIt(deployment);
      return deployment;
    };
    const said = await faults([
      find(base, "Deployment", "auth"),
      broken((deployment) => Object.assign(container(deployment), { readinesProbe: {} })),
      broken(({ metadata }) => Object.assign(metadata, { labels: { app: 1 } })),
      broken(({ spec }) => Reflect.deleteProperty(spec, "selector")),
      broken((deployment) => (deployment.kind = "Deploymnet")),
    ]);
    expect(said).toEqual([
      expect.stringContaining("readinesProbe"),
      expect.stringContaining("metadata.labels.app"),
      expect.stringContaining("'selector' is a required property"),
      expect.stringContaining("Deploymnet"),
    ]);
  });
});

it("everything is in one namespace, and no secret is in the repository", () => {
  for (const { kind, metadata } of [...base, ...local]) {
    expect(kind).not.toBe("Secret");
    if (kind !== "Namespace") expect(metadata.namespace).toBe("ticketing");
  }
});
