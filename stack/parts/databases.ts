/** The services that store something, each in the database of its own name. */
export const servicesWithDatabase = ["auth", "tickets", "orders", "payments"] as const;

/** The same servers and user, another database; the user stays known where it was known. */
export function withDatabase(uri: string, database: string): string {
  const [, base, path = "", query = ""] =
    /^([^/]*\/\/[^/?]*)\/?([^?]*)(?:\?(.*))?$/.exec(uri) ?? [];
  const settings = new URLSearchParams(query);
  if (base?.includes("@") && !settings.has("authSource"))
    settings.set("authSource", path || "admin");
  return `${base}/${database}${settings.size > 0 ? `?${settings}` : ""}`;
}
