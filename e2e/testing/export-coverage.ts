import type { mongo } from "mongoose";

type Document = mongo.BSON.Document;

/** Fields of a collection and why an export is without them; or why it is without all of it. */
export type Exclusions = Record<string, string> | string;

interface Leaf {
  /** The names of the fields that lead to it, without the places in arrays. */
  path: string;
  text: string;
}

/** Every word and every time of a document. Numbers and flags have no value by themselves. */
export function leavesOf(value: unknown, path = ""): Leaf[] {
  if (value instanceof Date) return [{ path, text: value.toISOString().replace(".000Z", "Z") }];
  if (typeof value === "string") return value === "" ? [] : [{ path, text: value }];
  if (Array.isArray(value)) return value.flatMap((one) => leavesOf(one, path));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, one]) =>
    leavesOf(one, path === "" ? name : `${path}.${name}`),
  );
}

/** What of a document is neither exported nor withheld. */
export function missingFromExport(exported: string, doc: Document, withheld: Exclusions): string[] {
  if (typeof withheld === "string") return [];
  const isWithheld = (path: string): boolean =>
    Object.keys(withheld).some((field) => path === field || path.startsWith(`${field}.`));
  return leavesOf(doc)
    .filter(
      ({ path, text }) =>
        !isWithheld(path) && !exported.includes(JSON.stringify(text).slice(1, -1)),
    )
    .map(({ path, text }) => `${path}: ${text}`);
}

/** Every document of every database in which a text occurs, and where it lies. */
export async function* documentsContaining(
  client: mongo.MongoClient,
  text: string,
): AsyncGenerator<{ name: string; doc: Document }> {
  const { databases } = await client.db().admin().listDatabases();
  for (const { name: database } of databases) {
    if (["admin", "config", "local"].includes(database)) continue;
    for (const collection of await client.db(database).collections()) {
      for await (const doc of collection.find()) {
        if (!JSON.stringify(doc).includes(text)) continue;
        yield { name: `${database}.${collection.collectionName}`, doc };
      }
    }
  }
}
