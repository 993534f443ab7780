import type { mongo } from "mongoose";

type Document = mongo.BSON.Document;

/** Fields of a collection, each with the reason why exports omit it; or the reason for all of them. */
export type Exclusions = Record<string, string> | string;

interface Leaf {
  /** The names of the fields that lead to it, without array indexes. */
  path: string;
  text: string;
}

/** Every string and every time in a document. Numbers and booleans mean nothing by themselves. */
export function leavesOf(value: unknown, path = ""): Leaf[] {
  if (value instanceof Date) return [{ path, text: value.toISOString().replace(".000Z", "Z") }];
  if (typeof value === "string") return value === "" ? [] : [{ path, text: value }];
  if (Array.isArray(value)) return value.flatMap((item) => leavesOf(item, path));
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, field]) =>
    leavesOf(field, path === "" ? name : `${path}.${name}`),
  );
}

/** The leaves of a document that are neither exported nor excluded. */
export function missingFromExport(
  exported: string,
  doc: Document,
  exclusions: Exclusions,
): string[] {
  if (typeof exclusions === "string") return [];
  const isExcluded = (path: string): boolean =>
    Object.keys(exclusions).some((field) => path === field || path.startsWith(`${field}.`));
  return leavesOf(doc)
    .filter(
      ({ path, text }) =>
        !isExcluded(path) && !exported.includes(JSON.stringify(text).slice(1, -1)),
    )
    .map(({ path, text }) => `${path}: ${text}`);
}

const SYSTEM_DATABASES = ["admin", "config", "local"];

/** Every document of every database that contains a text, with the name of its collection. */
export async function* documentsContaining(
  client: mongo.MongoClient,
  text: string,
): AsyncGenerator<{ name: string; doc: Document }> {
  const { databases } = await client.db().admin().listDatabases();
  for (const { name: database } of databases) {
    if (SYSTEM_DATABASES.includes(database)) continue;
    for (const collection of await client.db(database).collections()) {
      for await (const doc of collection.find()) {
        if (!JSON.stringify(doc).includes(text)) continue;
        yield { name: `${database}.${collection.collectionName}`, doc };
      }
    }
  }
}
