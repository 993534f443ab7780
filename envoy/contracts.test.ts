import { getOption, hasOption, type DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { access, Access } from "@ticketing/proto/options/v1/options";
import { http } from "@ticketing/proto/google/api/annotations";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { edgeConfig } from "./config/edge-config.ts";
import { readTemplate, render } from "./config/render.ts";
import { services } from "#marketplace/catalogue.ts";
import { connectionManagerOf } from "./testing/connection-manager.ts";
import { type EdgeFixture, startEdgeFixture } from "./testing/edge-fixture.ts";
import { request } from "./testing/http-request.ts";
import { pathOf } from "./testing/stub-server.ts";

const methods = services.flatMap((service): readonly DescMethod[] => service.methods);

/** The REST path of a method, if it has one. */
function restOf(method: DescMethod): { verb: string; path: string } | undefined {
  if (!hasOption(method, http)) return undefined;
  const { pattern } = getOption(method, http);
  if (pattern.case === undefined || pattern.case === "custom") throw new Error(pathOf(method));
  return { verb: pattern.case.toUpperCase(), path: pattern.value };
}

/** The two paths of a method: "POST /api/orders", "/ticketing.orders.v1.OrderService/CreateOrder". */
function waysTo(method: DescMethod): string[] {
  const rest = restOf(method);
  return [
    pathOf(method),
    ...(rest ? [`${rest.verb} ${rest.path.replace(/\{\w+\}/g, "[^/]+")}`] : []),
  ];
}

/** The rules of the edge that require no token, except the last one, which is for all other paths. */
function openRules(): string[] {
  const filters: { name: string; typed_config: any }[] = connectionManagerOf(
    render(edgeConfig.parse({})),
  ).http_filters;
  const { rules } = filters.find(({ name }) => name === "tokens")?.typed_config as {
    rules: Rule[];
  };
  return rules
    .filter(({ requires, match }) => requires === undefined && match.prefix !== "/")
    .map(({ match: { path, safe_regex, headers } }) =>
      [headers?.[0].string_match.exact, path ?? safe_regex?.regex].filter(Boolean).join(" "),
    );
}
interface Rule {
  requires?: object;
  match: {
    prefix?: string;
    path?: string;
    safe_regex?: { regex: string };
    headers?: [{ string_match: { exact: string } }];
  };
}

/** The response to a caller without a token. */
const strangersGet = new Map<Access, number>([
  [Access.ANYONE, 200],
  [Access.SIGNED_IN, 401],
  [Access.ADMINISTRATOR, 401],
  [Access.INTERNAL, 404],
]);

describe("the edge's rules and the contracts", () => {
  it("open exactly the methods with ACCESS_ANYONE", () => {
    const open = methods.filter((method) => getOption(method, access) === Access.ANYONE);
    expect(
      openRules().sort(),
      "The open paths (config/open-paths.ts) must be the RPC and REST path of each open method.",
    ).toEqual(open.flatMap(waysTo).sort());
  });

  it("open no REST path of a method that requires a token", () => {
    const closed = methods.filter((method) => getOption(method, access) !== Access.ANYONE);
    const open = openRules().map((rule) => new RegExp(`^${rule}$`));
    const opened = closed.flatMap((method) => {
      const { verb, path = "" } = restOf(method) ?? {};
      const example = `${verb} ${path.replaceAll(/\{\w+\}/g, "id")}`;
      return open.some((rule) => rule.test(example)) ? [`${method.name}: ${example}`] : [];
    });
    expect(
      opened,
      "An open method has a path with a parameter that matches this one too. Choose a longer path.",
    ).toEqual([]);
  });

  it("allow GET only for reads, because a page of another site can make a browser send one", () => {
    const gets = methods.filter((method) => restOf(method)?.verb === "GET");
    expect(gets.length).toBeGreaterThan(0);
    for (const { name, idempotency } of gets)
      expect(idempotency, name).toBe(MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS);
  });

  it("give a streaming method a route without a timeout, and no REST path", () => {
    const { routes } = connectionManagerOf(readTemplate()).route_config.virtual_hosts[0];
    for (const method of methods.filter(({ methodKind }) => methodKind !== "unary")) {
      expect(restOf(method), pathOf(method)).toBeUndefined();
      expect(
        routes.find(({ match }: any) => match.path === pathOf(method))?.route?.timeout,
        pathOf(method),
      ).toBe("0s");
    }
  });
});

describe("a running edge", () => {
  let fixture: EdgeFixture;
  beforeAll(async () => void (fixture = await startEdgeFixture()), 90_000);
  afterAll(() => fixture[Symbol.asyncDispose]());

  const id = "019f0000-0000-7000-8000-000000000001";
  const unary = methods.filter(({ methodKind }) => methodKind === "unary");

  it.each(unary.map((method) => [pathOf(method), method] as const))(
    "applies the access of the contract to %s",
    async (name, method) => {
      const answers = [await request(fixture, "POST", name, { body: {} })];
      const rest = restOf(method);
      if (rest) {
        const path = rest.path.replace(/\{\w+\}/, id);
        const body = ["POST", "PUT"].includes(rest.verb) ? { body: {} } : {};
        answers.push(await request(fixture, rest.verb, path, body));
      }
      const wanted = strangersGet.get(getOption(method, access));
      expect(
        answers.map(({ status }) => status),
        "The status without a token, by RPC and by REST: look at the open paths and the routes of envoy.yaml.",
      ).toEqual(answers.map(() => wanted));
    },
  );

  it("routes each REST path to its method", async () => {
    const headers = {
      authorization: `Bearer ${await fixture.token({ roles: ["administrator"] })}`,
    };
    for (const method of unary) {
      const { verb, path } = restOf(method) ?? {};
      if (!verb || !path) continue;
      const body = ["POST", "PUT"].includes(verb) ? { body: {} } : {};
      await request(fixture, verb, path.replace(/\{\w+\}/, id), { headers, ...body });
      expect(fixture.calls.at(-1)?.method).toBe(pathOf(method));
    }
  });
});
