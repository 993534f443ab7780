import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { catalogue } from "#marketplace/catalogue.ts";
import { definitionsOf } from "#runtime/messaging/topology/permissions.ts";
import { CLUSTER_TOPOLOGY } from "#stack/checks";
import { localSecrets } from "./local-secrets.ts";
import { root, services } from "./testing.ts";

interface Definitions {
  users: { name: string; tags: string[] }[];
  permissions: { user: string; configure: string; write: string; read: string }[];
}

it("the broker of a local cluster has the topology of the catalogue, and gives each service only its permissions", () => {
  const held: unknown = JSON.parse(readFileSync(join(root, CLUSTER_TOPOLOGY), "utf8"));
  expect(held, "npm run generate").toEqual(
    JSON.parse(JSON.stringify(definitionsOf("/", catalogue))),
  );
});

it("only the administrator of a local cluster has all permissions at its broker", () => {
  const { users, permissions } = JSON.parse(
    localSecrets("")["rabbitmq"]?.["users.json"] ?? "{}",
  ) as Definitions;
  expect(users.map(({ name }) => name).toSorted()).toEqual([...services, "admin"].toSorted());
  expect(users.filter(({ tags }) => tags.length > 0).map(({ name }) => name)).toEqual(["admin"]);
  expect(permissions.map(({ user }) => user)).toEqual(["admin"]);
});
