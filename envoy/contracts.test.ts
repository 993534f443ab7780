import { getOption, hasOption, type DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { access, Access } from "@ticketing/proto/options/v1/options";
import { http } from "@ticketing/proto/google/api/annotations";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readTemplate } from "./render.ts";
import { services } from "#marketplace/catalogue.ts";
import { ask, managerOf, nameOf, startWorld, type World } from "./testing.ts";

const methods = services.flatMap((service): readonly DescMethod[] => service.methods);

/** A method's place in REST, if it has one. */
function restOf(method: DescMethod): { verb: string; path: string } | undefined {
  if (!hasOption(method, http)) return undefined;
  const { pattern } = getOption(method, http);
  if (pattern.case === undefined || pattern.case === "custom") throw new Error(nameOf(method));
  return { verb: pattern.case.toUpperCase(), path: pattern.value };
}

/** The two ways of calling it: "POST /api/orders", "/ticketing.orders.v1.OrderService/CreateOrder". */
function waysTo(method: DescMethod): string[] {
  const rest = restOf(method);
  return [
    nameOf(method),
    ...(rest ? [`${rest.verb} ${rest.path.replace(/\{\w+\}/g, "[^/]+")}`] : []),
  ];
}

/** The rules of envoy.yaml that ask for no token, but for the last, which is for what is not ours. */
function openRules(): string[] {
  const filters: { name: string; typed_config: any }[] = managerOf(readTemplate()).http_filters;
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

/** What somebody without a token is answered. */
const strangersGet = new Map<Access, number>([
  [Access.ANYONE, 200],
  [Access.SIGNED_IN, 401],
  [Access.ADMINISTRATOR, 401],
  [Access.INTERNAL, 404],
]);

describe("the edge's rules and the contracts", () => {
  it("open exactly the methods that are open to anyone", () => {
    const open = methods.filter((method) => getOption(method, access) === Access.ANYONE);
    expect(openRules().sort()).toEqual(open.flatMap(waysTo).sort());
  });

  it("let no GET change anything: a page of another site can make a browser send one", () => {
    const gets = methods.filter((method) => restOf(method)?.verb === "GET");
    expect(gets.length).toBeGreaterThan(0);
    for (const { name, idempotency } of gets)
      expect(idempotency, name).toBe(MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS);
  });

  it("give a streaming method a route without a total timeout, and no REST", () => {
    const { routes } = managerOf(readTemplate()).route_config.virtual_hosts[0];
    for (const method of methods.filter(({ methodKind }) => methodKind !== "unary")) {
      expect(restOf(method), nameOf(method)).toBeUndefined();
      expect(
        routes.find(({ match }: any) => match.path === nameOf(method))?.route?.timeout,
        nameOf(method),
      ).toBe("0s");
    }
  });
});

describe("an edge that runs", () => {
  let world: World;
  beforeAll(async () => void (world = await startWorld()), 90_000);
  afterAll(() => world[Symbol.asyncDispose]());

  const id = "019f0000-0000-7000-8000-000000000001";
  const unary = methods.filter(({ methodKind }) => methodKind === "unary");

  it.each(unary.map((method) => [nameOf(method), method] as const))(
    "guards %s as its contract says",
    async (name, method) => {
      const answers = [await ask(world, "POST", name, { body: {} })];
      const rest = restOf(method);
      if (rest) {
        const path = rest.path.replace(/\{\w+\}/, id);
        const body = ["POST", "PUT"].includes(rest.verb) ? { body: {} } : {};
        answers.push(await ask(world, rest.verb, path, body));
      }
      const wanted = strangersGet.get(getOption(method, access));
      expect(answers.map(({ status }) => status)).toEqual(answers.map(() => wanted));
    },
  );

  it("brings each path of REST to its method", async () => {
    const headers = { authorization: `Bearer ${await world.token({ roles: ["administrator"] })}` };
    for (const method of unary) {
      const { verb, path } = restOf(method) ?? {};
      if (!verb || !path) continue;
      const body = ["POST", "PUT"].includes(verb) ? { body: {} } : {};
      await ask(world, verb, path.replace(/\{\w+\}/, id), { headers, ...body });
      expect(world.seen.at(-1)?.method).toBe(nameOf(method));
    }
  });
});
