import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import type { DescMessage } from "@bufbuild/protobuf";
import { catalogue } from "#marketplace/catalogue.ts";
import {
  causesOf,
  events,
  handlersOf,
  loadService,
  ownerOf,
  recordedFrom,
  recordingsOf,
  serviceNames,
  type Service,
} from "./flow.ts";

// A part of docs/flow.md between two markers is generated. The rest is written by hand.

const PAGE = join(import.meta.dirname, "../../docs/flow.md");
const BEGIN = "<!-- `npm run generate` writes from here to the end mark. -->\n";
const END = "<!-- The end of the generated part. -->\n";

const unique = (words: readonly string[]): string[] => [...new Set(words)];
const link = (file: string): string => `[${basename(file)}](../${file})`;
const quoted = (found: Iterable<DescMessage>): string =>
  [...found].map(({ name }) => `\`${name}\``).join(", ");

const services = new Map(serviceNames.map((name) => [name, loadService(name)]));
const causes = new Map([...services].map(([name, service]) => [name, causesOf(service)]));

/** An event of the contracts that no RPC and no other event causes. */
export class NeverRecorded extends Error {
  constructor({ name }: DescMessage) {
    super(
      `${name} is never recorded: no function that an RPC or an event reaches calls ` +
        `record(…, ${name}Schema, …). Record it, then run npm run generate again.`,
    );
  }
}

/** The receivers of an event: its subscribers, and the services that request a snapshot. */
function receiversOf(event: DescMessage): Service[] {
  const isSubscribed = (name: string): boolean =>
    (catalogue.subscriptions as Record<string, readonly DescMessage[]>)[name]?.includes(event) ??
    false;
  const route = catalogue.snapshots.find(({ snapshot }) => snapshot === event);
  return [...services.values()].filter(
    ({ name }) => isSubscribed(name) || route?.requestedBy.includes(name),
  );
}

function handledLine(service: Service, event: DescMessage): string {
  const places = handlersOf(service, event);
  const files = unique(places.map(({ file }) => link(file))).join(", ");
  const following = new Set(places.flatMap((place) => [...recordedFrom(service, place)]));
  const then = following.size > 0 ? `, can be followed by ${quoted(following)}` : "";
  return `- **${service.name}**: ${files}${then}`;
}

/** The sentence that names the origin of an event. */
function recordedLine(event: DescMessage): string {
  const request = catalogue.snapshots.find((route) => route.request === event);
  if (request)
    return `Published by ${request.requestedBy.join(" and ")}, whose replica is empty or old.`;
  const answer = catalogue.snapshots.find((route) => route.snapshot === event);
  if (answer) return `The answer to \`${answer.request.name}\`.`;
  const service = services.get(ownerOf(event));
  if (!service) throw new Error(`${event.name} belongs to no service`);
  const places = unique(
    recordingsOf(service, event).map(({ file, name }) =>
      name === undefined ? link(file) : `${link(file)} (\`${name}\`)`,
    ),
  );
  const because = causes.get(service.name)?.get(event) ?? [];
  if (places.length === 0 || because.length === 0) throw new NeverRecorded(event);
  return `Recorded in ${places.join(", ")}. Causes: ${because.join(", ")}.`;
}

function section(event: DescMessage): string {
  const receivers = receiversOf(event).map((service) => handledLine(service, event));
  const received = receivers.length > 0 ? receivers.join("\n") : "No service receives it.";
  return `#### \`${event.name}\`\n\n${recordedLine(event)}\n\n${received}\n`;
}

function generatedPart(): string {
  return serviceNames
    .map((name) => ({ name, own: events.filter((event) => ownerOf(event) === name) }))
    .filter(({ own }) => own.length > 0)
    .map(({ name, own }) => `### Events of ${name}\n\n${own.map(section).join("\n")}`)
    .join("\n");
}

/** The current page, and the page as it is generated. */
export function flowPage(): { current: string; expected: string } {
  const current = readFileSync(PAGE, "utf8");
  const [before, rest] = current.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined) throw new Error("docs/flow.md lacks its marks");
  return { current, expected: `${before}${BEGIN}\n${generatedPart()}\n${END}${after}` };
}

export function generateFlow(): void {
  writeFileSync(PAGE, flowPage().expected);
}
