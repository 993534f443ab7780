import { globSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { parseAllDocuments } from "yaml";
import { render } from "./kustomize.ts";

/** The parts of a manifest that the tests read. The schemas of Kubernetes validate the rest. */
export interface Manifest {
  kind: string;
  metadata: { name: string; namespace?: string };
  spec: {
    replicas?: number;
    selector: { matchLabels?: Record<string, string> };
    template: { metadata: { labels: Record<string, string> }; spec: Pod };
    ports?: { port: number }[];
  };
}

export interface Pod {
  serviceAccountName?: string;
  automountServiceAccountToken?: boolean;
  terminationGracePeriodSeconds?: number;
  hostNetwork?: boolean;
  hostPID?: boolean;
  hostIPC?: boolean;
  securityContext?: SecurityContext;
  containers: Container[];
  volumes?: Record<string, { secretName?: string }>[];
}

export interface SecurityContext {
  runAsNonRoot?: boolean;
  runAsUser?: number;
  seccompProfile?: { type: string };
  // The following are fields of containers only.
  allowPrivilegeEscalation?: boolean;
  capabilities?: { add?: string[]; drop?: string[] };
  privileged?: boolean;
  readOnlyRootFilesystem?: boolean;
}

export interface Container {
  image: string;
  command?: string[];
  env?: Variable[];
  ports?: { containerPort: number }[];
  resources?: Record<"requests" | "limits", Record<string, string>>;
  securityContext?: SecurityContext;
  livenessProbe?: object;
  readinessProbe?: object;
  lifecycle?: { preStop?: object };
}

export interface Variable {
  name: string;
  value?: string;
  valueFrom?: { secretKeyRef?: { name: string; key: string } };
}

export const root = join(import.meta.dirname, "..");

/** The services: the folders with an entry point. */
export const services = globSync("services/*/main.ts", { cwd: root }).map((path) =>
  basename(dirname(path)),
);

/** Renders a kustomization as it is applied to a cluster. */
export async function manifests(folder: "base" | "local"): Promise<Manifest[]> {
  const documents = parseAllDocuments(await render(folder));
  return documents.map((document) => document.toJS() as Manifest);
}

export function find(documents: readonly Manifest[], kind: string, name: string): Manifest {
  const found = documents.find((one) => one.kind === kind && one.metadata.name === name);
  if (!found) throw new Error(`there is no ${kind} ${name}`);
  return found;
}

export function workloads(documents: readonly Manifest[]): Manifest[] {
  return documents.filter(({ kind }) => kind === "Deployment" || kind === "StatefulSet");
}

/** The only container of a workload. */
export function container({ metadata, spec }: Manifest): Container {
  const [only, ...more] = spec.template.spec.containers;
  if (!only || more.length > 0) throw new Error(`${metadata.name} should have one container`);
  return only;
}
