import { subscriptions } from "#marketplace/catalogue.ts";

export type ServiceName = keyof typeof subscriptions;

/** The services that store nothing. */
export const servicesWithoutDatabase = ["expiration"] as const;

export type ServiceWithDatabase = Exclude<ServiceName, (typeof servicesWithoutDatabase)[number]>;

const storesData = (name: ServiceName): name is ServiceWithDatabase =>
  !(servicesWithoutDatabase as readonly string[]).includes(name);

/** The services of the catalogue that store something, each in the database of its own name. */
export const servicesWithDatabase: readonly ServiceWithDatabase[] = (
  Object.keys(subscriptions) as ServiceName[]
).filter(storesData);

/** The URL of another database on the same servers, with the same user and `authSource`. */
export function withDatabase(uri: string, database: string): string {
  const [, base, path = "", query = ""] =
    /^([^/]*\/\/[^/?]*)\/?([^?]*)(?:\?(.*))?$/.exec(uri) ?? [];
  const settings = new URLSearchParams(query);
  if (base?.includes("@") && !settings.has("authSource"))
    settings.set("authSource", path || "admin");
  return `${base}/${database}${settings.size > 0 ? `?${settings}` : ""}`;
}
