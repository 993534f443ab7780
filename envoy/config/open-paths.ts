import { getOption, hasOption, type DescMethod } from "@bufbuild/protobuf";
import { http } from "@ticketing/proto/google/api/annotations";
import { access, Access } from "@ticketing/proto/options/v1/options";
import { services } from "#marketplace/catalogue.ts";

/** A rule of Envoy's token filter that requires no token. */
interface OpenRule {
  match: { path?: string; safe_regex?: { regex: string }; headers?: object[] };
}

/** The rules for the methods that are open to everyone: the RPC path and the REST path of each. */
export const openPaths = (): OpenRule[] =>
  services
    .flatMap(({ methods }) => methods)
    .filter((method) => getOption(method, access) === Access.ANYONE)
    .flatMap((method) => [
      { match: { path: `/${method.parent.typeName}/${method.name}` } },
      ...(hasOption(method, http) ? [restRule(method)] : []),
    ]);

function restRule(method: DescMethod): OpenRule {
  const { pattern } = getOption(method, http);
  if (pattern.case === undefined || pattern.case === "custom")
    throw new Error(`${method.name} has no REST path that the edge can open`);
  const headers = [{ name: ":method", string_match: { exact: pattern.case.toUpperCase() } }];
  const regex = pattern.value.replaceAll(/\{\w+\}/g, "[^/]+");
  const path = regex === pattern.value ? { path: pattern.value } : { safe_regex: { regex } };
  return { match: { ...path, headers } };
}
