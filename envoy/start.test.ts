import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { edgeConfig } from "./config/edge-config.ts";
import { readTemplate, render, valuesOf } from "./config/render.ts";
import { untrustedStorefrontAddresses } from "./config/untrusted-storefront.ts";
import { connectionManagerOf } from "./testing/connection-manager.ts";

const presets = edgeConfig.parse({});

/** Starts the edge with only these variables, and a program that does nothing instead of Envoy. */
const start = (env: Record<string, string>) =>
  spawnSync(process.execPath, [join(import.meta.dirname, "main.ts")], {
    encoding: "utf8",
    env: { ENVOY: "/bin/true", ...env },
  });

/** Each name that the template uses. */
function namesIn(template: unknown): string[] {
  if (typeof template === "object" && template !== null)
    return Object.values(template).flatMap(namesIn);
  return /^\$([A-Z_]+)$/.exec(String(template))?.slice(1) ?? [];
}

describe("the start of the edge", () => {
  it("reports all invalid variables at once, without their values", () => {
    const { status, stderr } = start({
      TRUSTED_NETWORKS: "10.42.0.0/16, 10.0.0.0, 0.0.0.0/0, fd00::/200",
      CORS_ORIGINS: "https://app.example/",
      CSRF_ORIGINS: "app.example",
      SECURE_COOKIES: "maybe",
      EDGE_HOLDS_PER_MINUTE: "0",
      EDGE_PORT: "65536",
      HOST: "somewhere",
      WEB_ADDRESSES: "",
      AUTH_RPC_ADDRESSES: "auth",
      ORDERS_RPC_ADDRESSES: "a:1,b:99999",
    });
    expect(status).toBe(78);
    const named = [...stderr.matchAll(/^ {2}([A-Z_]+(?:\.\d)?): /gm)].map(([, name]) => name);
    expect(named.sort()).toEqual([
      "AUTH_RPC_ADDRESSES.0",
      "CORS_ORIGINS.0",
      "CSRF_ORIGINS.0",
      "EDGE_HOLDS_PER_MINUTE",
      "EDGE_PORT",
      "HOST",
      "ORDERS_RPC_ADDRESSES.1",
      "SECURE_COOKIES",
      "TRUSTED_NETWORKS.1",
      "TRUSTED_NETWORKS.2",
      "TRUSTED_NETWORKS.3",
      "WEB_ADDRESSES",
    ]);
    expect(stderr).not.toMatch(/maybe|somewhere|99999/);
  });

  it("fails with a message if the storefront's own address is not trusted", () => {
    const web = { WEB_ADDRESSES: "127.0.0.1:3000,[fd00::7]:3000" };
    for (const networks of ["", "10.0.0.0/8", "127.0.0.2/32,fd01::/16"]) {
      const { status, stderr } = start({ ...web, TRUSTED_NETWORKS: networks });
      expect(status).toBe(78);
      expect(stderr).toContain(
        "TRUSTED_NETWORKS: the storefront's server is at 127.0.0.1, fd00::7",
      );
    }
    const half = start({ ...web, TRUSTED_NETWORKS: "127.0.0.0/8" });
    expect(half.stderr).toContain(
      "the storefront's server is at fd00::7, which is in none of them",
    );
    expect(start({ ...web, TRUSTED_NETWORKS: "127.0.0.0/8, fd00::/8" })).toMatchObject({
      status: 0,
      stderr: "",
    });
  });

  it("resolves a name, and continues if it has no address yet", async () => {
    const of = (web: string, networks: string) =>
      untrustedStorefrontAddresses(
        edgeConfig.parse({ WEB_ADDRESSES: web, TRUSTED_NETWORKS: networks }),
      );
    expect(await of("localhost:3000", "")).not.toEqual([]);
    expect(await of("localhost:3000", "127.0.0.0/8,::1/128")).toEqual([]);
    expect(await of("nobody.invalid:3000", "")).toEqual([]);
  });

  it("reports a missing program", () => {
    const { status, stderr } = start({
      ENVOY: "/none",
      WEB_ADDRESSES: "127.0.0.1:1",
      TRUSTED_NETWORKS: "127.0.0.1/32",
    });
    expect(status).toBe(78);
    expect(stderr).toContain("ENVOY: must be a program that may be run");
  });
});

describe("the template", () => {
  it("uses every value that exists, and no other", () => {
    const asked = new Set(namesIn(readTemplate()));
    expect([...asked].sort()).toEqual(Object.keys(valuesOf(presets)).sort());
    expect(namesIn(render(presets))).toEqual([]);
  });

  it("is short enough for one argument of a program, with room for settings", () => {
    // Linux allows 128 KiB.
    expect(JSON.stringify(render(presets)).length).toBeLessThan(120_000);
  });

  it("trusts no network, allows no other origin, and exposes no reflection by default", () => {
    const manager = connectionManagerOf(render(presets));
    const [xff] = manager.original_ip_detection_extensions;
    expect(xff.typed_config.xff_trusted_cidrs.cidrs).toEqual([]);
    const [host] = manager.route_config.virtual_hosts;
    expect(host.typed_per_filter_config.cors.allow_origin_string_match).toEqual([]);
    const reflection = host.routes.find(({ match }: any) => match.prefix === "/grpc.reflection.");
    expect(reflection.match.runtime_fraction.default_value.numerator).toBe(0);
  });

  it("treats a value as data, whatever it looks like", () => {
    const odd = 'x"], "admin": {"$HOST": 1';
    const manager = connectionManagerOf(
      render({ ...presets, TOKEN_ISSUER: odd, TOKEN_AUDIENCE: "$HOST" }),
    );
    const { providers } = manager.http_filters.find(
      ({ name }: any) => name === "tokens",
    ).typed_config;
    expect(providers.bearer).toMatchObject({ issuer: odd, audiences: ["$HOST"] });
  });
});
