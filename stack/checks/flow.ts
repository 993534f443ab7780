import { basename } from "node:path";
import type { DescMessage } from "@bufbuild/protobuf";
import ts from "typescript";
import { catalogue } from "#marketplace/catalogue.ts";
import { SourceIndex, type Place } from "./source-index.ts";

// From each event to its handlers and to the events that follow. The catalogue says who receives what;
// the sources say where an event is recorded and where it is handled.

export const serviceNames = Object.keys(catalogue.subscriptions);
const subscriptions: Record<string, readonly DescMessage[]> = catalogue.subscriptions;
const snapshotEvents = catalogue.snapshots.flatMap(({ request, snapshot }) => [request, snapshot]);

export const ownerOf = (event: DescMessage): string => event.file.proto.package.split(".")[1] ?? "";

/** All events of the contracts, by their owner, in the order of the contracts. */
export const events = [
  ...new Set([...Object.values(subscriptions).flat(), ...snapshotEvents].map(({ file }) => file)),
]
  .flatMap(({ messages }) => {
    const parts = messages.flatMap(({ fields }) => fields.map(({ message }) => message));
    return messages.filter((message) => !parts.includes(message)); // Parts of events are no events.
  })
  .sort((a, b) => serviceNames.indexOf(ownerOf(a)) - serviceNames.indexOf(ownerOf(b)));

const byName = new Map(events.map((event) => [`${event.name}Schema`, event]));
const methods = new Set(catalogue.services.flatMap((s) => s.methods.map((m) => m.localName)));

/** A service and its sources. */
export interface Service {
  name: string;
  index: SourceIndex;
}

export const loadService = (name: string): Service => ({
  name,
  index: new SourceIndex(`services/${name}/**/*.ts`),
});

/** The event of `on(EventSchema, handle)`; undefined for any other node. */
function handledBy(node: ts.Node): DescMessage | undefined {
  if (!ts.isCallExpression(node) || node.expression.getText() !== "on") return undefined;
  const schema = node.arguments[0]?.getText().split(".").at(-1);
  return byName.get(schema ?? "");
}

/** Whether a name is used as a value: neither imported, nor a type, nor asked for its type's name. */
function isUse(name: ts.Identifier): boolean {
  const outer = ts.isPropertyAccessExpression(name.parent) ? name.parent : name;
  const { parent } = outer;
  if (ts.isImportSpecifier(parent)) return false;
  const isTypeName = ts.isPropertyAccessExpression(outer) && outer.name.text === "typeName";
  if (isTypeName) return false;
  return !(ts.isCallExpression(parent) && handledBy(parent) && parent.arguments[0] === outer);
}

const usesOf = (index: SourceIndex, name: string): Place[] =>
  [...index.nodes()].filter(
    ({ node }) => ts.isIdentifier(node) && node.text === name && isUse(node),
  );

const shared = new SourceIndex("services/marketplace/*.ts");

/** Names of the shared files that stand for the handling of an event, such as the events of bans. */
function sharedNames(event: DescMessage): string[] {
  const around = usesOf(shared, `${event.name}Schema`).map(({ file, node }) =>
    shared.around(file, node),
  );
  return around.flatMap((found) => (found ? [found.name] : []));
}

/** Where a service handles an event that it receives. */
export function handlersOf({ index, name }: Service, event: DescMessage): Place[] {
  const own = [...index.nodes()].filter(({ node }) => handledBy(node) === event);
  if (own.length > 0) return own;
  const uses = snapshotEvents.includes(event)
    ? usesOf(index, `${event.name}Schema`)
    : sharedNames(event).flatMap((shared) => usesOf(index, shared));
  const handlers = uses.filter(({ file, node }) => index.around(file, node));
  if (handlers.length === 0)
    throw new Error(`${name} receives ${event.name} and handles it nowhere`);
  return handlers.map(({ file, node }) => ({ file, node: elementAround(node) }));
}

/** The element of a list, such as `...banEvents.map(…)`, or the property in which a name stands. */
function elementAround(node: ts.Node): ts.Node {
  let outer = node;
  while (outer.parent && !ts.isArrayLiteralExpression(outer.parent)) {
    if (ts.isPropertyAssignment(outer) || ts.isSourceFile(outer.parent)) return node;
    outer = outer.parent;
  }
  return outer;
}

/** The service's own events that a piece of its code can record. */
export function recordedFrom(
  { index, name }: Service,
  start: Place,
  skip?: (node: ts.Node) => boolean,
): Set<DescMessage> {
  const found = new Set<DescMessage>();
  const visit = (used: ts.Identifier): void => {
    const event = byName.get(used.text);
    if (event && ownerOf(event) === name && isUse(used)) found.add(event);
  };
  index.reach(start, visit, skip);
  for (const event of snapshotEvents) found.delete(event);
  return found;
}

const isMethod = (node: ts.Node): boolean =>
  ts.isObjectLiteralElementLike(node) &&
  node.name !== undefined &&
  methods.has(node.name.getText()) &&
  /rpc\.ts$/.test(node.getSourceFile().fileName);

/** `CreateOrder` of a method that is called `createOrder` in code. */
function methodName(node: ts.Node): string {
  const name = (node as ts.MethodDeclaration).name.getText();
  return `${name[0]?.toUpperCase()}${name.slice(1)}`;
}

/** Files that no other file imports: where a process begins, such as a command for operators. */
function entryPoints(index: SourceIndex): Place[] {
  const imported = index.importedFiles();
  return [...index.files]
    .filter(([file]) => !imported.has(file))
    .map(([file, node]) => ({ file, node }));
}

/** Where a service records an event: the file, and the function if it is inside one. */
export const recordingsOf = (
  { index }: Service,
  event: DescMessage,
): { file: string; name: string | undefined }[] =>
  usesOf(index, `${event.name}Schema`).map(({ file, node }) => ({
    file,
    name: index.around(file, node)?.name,
  }));

/** What makes a service record an event: a received event, an RPC, a command, or background work. */
export function causesOf(service: Service): Map<DescMessage, string[]> {
  const causes = new Map<DescMessage, string[]>();
  const add = (cause: string, recorded: Iterable<DescMessage>): void => {
    for (const event of recorded) {
      const known = causes.get(event) ?? [];
      if (!known.includes(cause)) causes.set(event, [...known, cause]);
    }
  };
  const handlers = new Set<ts.Node>();
  for (const event of subscriptions[service.name] ?? []) {
    for (const place of handlersOf(service, event)) {
      handlers.add(place.node);
      add(`\`${event.name}\``, recordedFrom(service, place));
    }
  }
  for (const place of service.index.nodes()) {
    if (isMethod(place.node))
      add(`the RPC \`${methodName(place.node)}\``, recordedFrom(service, place));
  }
  for (const entry of entryPoints(service.index)) {
    const isMain = basename(entry.file) === "main.ts";
    // What main.ts itself publishes, it publishes for a handler or a method that it connects.
    const isOther = (node: ts.Node): boolean =>
      handlers.has(node) ||
      handledBy(node) !== undefined ||
      isMethod(node) ||
      (isMain && byName.has(node.getText()) && node.getSourceFile() === entry.node);
    add(isMain ? "background work" : "a command", recordedFrom(service, entry, isOther));
  }
  return causes;
}
