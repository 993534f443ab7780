import { closeSync, fsyncSync, mkdirSync, openSync } from "node:fs";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Tables } from "../objects/objects.ts";

type Kind = keyof Tables;
type Line = { put: Tables[Kind][] } | { forget: Kind };

/**
 * The whole state of this Stripe, in memory and in a file with one line per request. A line is written
 * before the response is sent, completely or not at all, so killing the process loses nothing that was
 * acknowledged.
 */
export class Journal {
  readonly #tables = new Map<Kind, Map<string, Tables[Kind]>>();
  readonly #file: number;

  constructor(dir: string) {
    mkdirSync(dir, { recursive: true });
    const path = join(dir, "journal.jsonl");
    for (const line of readLines(path)) this.#apply(line);
    this.#file = this.#rewrite(path);
  }

  get<K extends Kind>(kind: K, id: string): Tables[K] | undefined {
    return this.#table(kind).get(id);
  }

  /** All objects of a type, oldest first. */
  all<K extends Kind>(kind: K): Tables[K][] {
    return [...this.#table(kind).values()];
  }

  put(things: Tables[Kind][]): void {
    if (things.length > 0) this.#write({ put: things });
  }

  forget(kind: Kind): void {
    this.#write({ forget: kind });
  }

  close(): void {
    fsyncSync(this.#file);
    closeSync(this.#file);
  }

  #write(line: Line): void {
    writeFileSync(this.#file, `${JSON.stringify(line)}\n`);
    this.#apply(line);
  }

  #apply(line: Line): void {
    if ("forget" in line) return this.#table(line.forget).clear();
    for (const thing of line.put) this.#table(thing.object).set(thing.id, thing as never);
  }

  #table<K extends Kind>(kind: K): Map<string, Tables[K]> {
    const table = this.#tables.get(kind) ?? new Map<string, Tables[Kind]>();
    this.#tables.set(kind, table);
    return table as Map<string, Tables[K]>;
  }

  /** Compacts the file at the start: it keeps only the last state of each object. */
  #rewrite(path: string): number {
    const things = [...this.#tables.values()].flatMap((table) => [...table.values()]);
    const lines = things.map((thing) => `${JSON.stringify({ put: [thing] })}\n`);
    writeFileSync(`${path}.new`, lines.join(""), { mode: 0o600, flush: true });
    renameSync(`${path}.new`, path);
    return openSync(path, "a");
  }
}

function readLines(path: string): Line[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  const lines = text.split("\n");
  lines.pop(); // Empty, or an incomplete line that was never acknowledged.
  return lines.map((line) => JSON.parse(line) as Line);
}
