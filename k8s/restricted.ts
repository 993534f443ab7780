import { container, type Manifest } from "./testing.ts";

const volumeKinds = ["configMap", "emptyDir", "persistentVolumeClaim", "projected", "secret"];

/** The settings of a workload that violate Pod Security's restricted profile. */
export function beyondRestricted(workload: Manifest): string[] {
  const { spec: pod } = workload.spec.template;
  const { securityContext: own = {} } = container(workload);
  const { runAsNonRoot, runAsUser, seccompProfile } = { ...pod.securityContext, ...own };
  const { add = [], drop = [] } = own.capabilities ?? {};
  const broken = {
    root: runAsNonRoot !== true || runAsUser === 0,
    seccomp: !["RuntimeDefault", "Localhost"].includes(seccompProfile?.type ?? ""),
    escalation: own.allowPrivilegeEscalation !== false,
    privileged: own.privileged === true,
    capabilities: add.length > 0 || !drop.includes("ALL"),
    host: [pod.hostNetwork, pod.hostPID, pod.hostIPC].includes(true),
    volumes: (pod.volumes ?? []).some((one) => !volumeKinds.some((kind) => kind in one)),
  };
  return Object.entries(broken).flatMap(([rule, is]) => (is ? [rule] : []));
}
