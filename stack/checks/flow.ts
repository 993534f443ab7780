import { basename } from "node:path";
import type { DescMessage } from "@bufbuild/protobuf";
import ts from "typescript";
import { catalogue } from "#marketplace/catalogue.ts";
import { SourceIndex, type Place } from "./source-index.ts";

// Finds the handlers of each event, and the events that follow. The catalogue names the receivers.
// The sources show where an event is recorded and where it is handled.

export const serviceNames = Object.keys(catalogue.subscriptions);
const subscriptions: Record<string, readonly DescMessage[]> = catalogue.subscriptions;
const snapshotEvents = catalogue.snapshots.flatMap(({ request, snapshot }) => [request, snapshot]);

export const ownerOf = (event: DescMessage): string => event.file.proto.package.split(".")[1] ?? "";

/** All events of the contracts by their owner, in the order of the contracts. */
export const events = [
  ...new Set([...Object.values(subscriptions).flat(), ...snapshotEvents].map(({ file }) => file)),
]
  .flatMap(({ messages }) => {
    const parts = messages.flatMap(({ fields }) => fields.map(({ message }) => message));
    // A part of an event is not an event.
    return messages.filter((message) => !parts.includes(message));
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

/** The event of `on(EventSchema, handle)`, or undefined for any other node. */
function handledBy(node: ts.Node): DescMessage | undefined {
  if (!ts.isCallExpression(node) || node.expression.getText() !== "on") return undefined;
  const schema = node.arguments[0]?.getText().split(".").at(-1);
  return byName.get(schema ?? "");
}

/** Whether a name is used as a value: not in an import, not as a type, and not for its type name. */
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

/** The shared declarations that use a name. The catalogue lists all events and handles none. */
const sharedUsersOf = (name: string): string[] =>
  usesOf(shared, name).flatMap(({ file, node }) => {
    const user = shared.around(file, node)?.name;
    return user === undefined || user === name || user === "catalogue" ? [] : [user];
  });

/**
 * The names in shared files whose use means that an event is handled, such as the ban events, with those
 * that are built on others first: `banHandlers` before `banEvents`.
 */
function sharedNames(event: DescMessage): string[] {
  const names = new Set(sharedUsersOf(`${event.name}Schema`));
  for (const name of names) for (const user of sharedUsersOf(name)) names.add(user);
  return [...names].toReversed();
}

/** The places where a service handles a received event. */
export function handlersOf({ index, name }: Service, event: DescMessage): Place[] {
  const own = [...index.nodes()].filter(({ node }) => handledBy(node) === event);
  if (own.length > 0) return own;
  const uses = snapshotEvents.includes(event)
    ? usesOf(index, `${event.name}Schema`)
    : (sharedNames(event)
        .map((shared) => usesOf(index, shared))
        .find((found) => found.some(({ file, node }) => index.around(file, node))) ?? []);
  const handlers = uses.filter(({ file, node }) => index.around(file, node));
  if (handlers.length === 0)
    throw new Error(`${name} receives ${event.name} and handles it nowhere`);
  return handlers.map(({ file, node }) => ({ file, node: elementAround(node) }));
}

/** The list element, such as `...banEvents.map(…)`, or the property that contains a name. */
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
  const onName = (used: ts.Identifier): void => {
    const event = byName.get(used.text);
    if (event && ownerOf(event) === name && isUse(used)) found.add(event);
  };
  index.reach(start, onName, skip);
  for (const event of snapshotEvents) found.delete(event);
  return found;
}

const isMethod = (node: ts.Node): boolean =>
  ts.isObjectLiteralElementLike(node) &&
  node.name !== undefined &&
  methods.has(node.name.getText()) &&
  /rpc\.ts$/.test(node.getSourceFile().fileName);

/** `CreateOrder` for the method that the code calls `createOrder`. */
function methodName(node: ts.Node): string {
  const name = (node as ts.MethodDeclaration).name.getText();
  return `${name[0]?.toUpperCase()}${name.slice(1)}`;
}

/** Files that no other file imports: the entry points of processes, such as operator commands. */
function entryPoints(index: SourceIndex): Place[] {
  const imported = index.importedFiles();
  return [...index.files]
    .filter(([file]) => !imported.has(file))
    .map(([file, node]) => ({ file, node }));
}

/** The place where a service records an event: the file, and the function if there is one. */
export const recordingsOf = (
  { index }: Service,
  event: DescMessage,
): { file: string; name: string | undefined }[] =>
  usesOf(index, `${event.name}Schema`).map(({ file, node }) => ({
    file,
    name: index.around(file, node)?.name,
  }));

/** What causes a service to record an event: a received event, an RPC, a command, background work. */
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
    // What main.ts publishes itself belongs to the handler or method that it connects.
    const isOther = (node: ts.Node): boolean =>
      handlers.has(node) ||
      handledBy(node) !== undefined ||
      isMethod(node) ||
      (isMain && byName.has(node.getText()) && node.getSourceFile() === entry.node);
    add(isMain ? "background work" : "a command", recordedFrom(service, entry, isOther));
  }
  return causes;
}
