import { describe, expect, it } from "vitest";
import { beyondRestricted } from "./restricted.ts";
import { container, find, manifests, services, workloads } from "./testing.ts";
import type { Manifest, Pod, SecurityContext } from "./testing.ts";

// P60: pods run with the restricted profile, with limits and probes.

const base = await manifests("base");
const local = await manifests("local"); // with the data services
const ours = [...services, "web", "edge"];

describe("every pod", () => {
  it.each(workloads(local).map((workload) => [workload.metadata.name, workload] as const))(
    "of %s is within the restricted profile, with limits, probes and no way to the cluster's API",
    (_name, workload) => {
      expect(beyondRestricted(workload)).toEqual([]);
      const { resources, livenessProbe, readinessProbe } = container(workload);
      expect(Object.keys(resources?.requests ?? {})).toEqual(["cpu", "memory"]);
      expect(Object.keys(resources?.limits ?? {})).toEqual(["cpu", "memory"]);
      expect(livenessProbe).toBeDefined();
      expect(readinessProbe).toBeDefined();
      expect(workload.spec.template.spec.automountServiceAccountToken).toBe(false);
    },
  );

  it("has the labels and the ports that its Service selects", () => {
    for (const workload of workloads(local)) {
      const service = find(local, "Service", workload.metadata.name);
      const { labels } = workload.spec.template.metadata;
      expect(labels).toMatchObject(workload.spec.selector.matchLabels ?? { none: "" });
      expect(labels).toMatchObject(service.spec.selector);
      const open = container(workload).ports?.map(({ containerPort }) => containerPort);
      expect(open).toEqual(
        expect.arrayContaining((service.spec.ports ?? []).map(({ port }) => port)),
      );
    }
  });
});

describe("the restricted profile", () => {
  const cases: [string, (pod: Pod, own: SecurityContext) => void][] = [
    ["root", (pod) => (pod.securityContext = { ...pod.securityContext, runAsUser: 0 })],
    ["seccomp", (pod) => delete pod.securityContext?.seccompProfile],
    ["escalation", (_pod, own) => (own.allowPrivilegeEscalation = true)],
    ["privileged", (_pod, own) => (own.privileged = true)],
    ["capabilities", (_pod, own) => (own.capabilities = { drop: ["ALL"], add: ["NET_RAW"] })],
    ["host", (pod) => (pod.hostNetwork = true)],
    ["volumes", (pod) => (pod.volumes = [{ hostPath: {} }])],
  ];
  it.each(cases)("detects %s", (rule, breakIt) => {
    const deployment: Manifest = structuredClone(find(base, "Deployment", "orders"));
    breakIt(deployment.spec.template.spec, container(deployment).securityContext ?? {});
    expect(beyondRestricted(deployment)).toEqual([rule]);
  });
});

describe("every deployment", () => {
  it("exists under the name of its folder", () => {
    const names = workloads(base).map(({ metadata }) => metadata.name);
    expect(names.sort()).toEqual([...ours].sort());
  });

  it.each(ours)(
    "of %s has two pods with read-only file systems, an account, and time to stop",
    (name) => {
      const { spec } = find(base, "Deployment", name);
      const pod = spec.template.spec;
      expect(spec.replicas).toBeGreaterThanOrEqual(2);
      find(base, "PodDisruptionBudget", name);
      expect(pod.serviceAccountName).toBe(find(base, "ServiceAccount", name).metadata.name);
      expect(pod.terminationGracePeriodSeconds).toBe(30);
      expect(pod.containers[0]?.lifecycle?.preStop).toBeDefined();
      expect(pod.containers[0]?.securityContext?.readOnlyRootFilesystem).toBe(true);
    },
  );

  it.each(services)(
    "of %s is alive whatever database and broker do, and ready as gRPC says",
    (name) => {
      const { command, livenessProbe, readinessProbe } = container(find(base, "Deployment", name));
      expect(command).toEqual(["node", `services/${name}/main.ts`]);
      expect(livenessProbe).toMatchObject({ httpGet: { path: "/healthz", port: "http" } });
      expect(readinessProbe).toMatchObject({ grpc: { port: 9000 } });
    },
  );
});
