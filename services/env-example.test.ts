import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { isDeepStrictEqual } from "node:util";
import { expect, it } from "vitest";
import { z } from "zod";

const root = join(import.meta.dirname, "..");

/** The rows of `.env.example` by name. An optional row starts with "# ". */
const rows = new Map(
  readFileSync(join(root, ".env.example"), "utf8")
    .split("\n")
    .map((line) => /^(?:# )?([A-Z][A-Z0-9_]*)=(.*)$/.exec(line))
    .filter((row) => row !== null)
    .map(([, name = "", value = ""]) => [name, value]),
);

/** The variables of every service, as "service NAME". */
async function variables(): Promise<[string, z.ZodType][]> {
  const files = globSync("{services/*/config.ts,envoy/config/edge-config.ts}", { cwd: root });
  const shapes = files.map(async (file) => {
    const url = pathToFileURL(join(root, file)).href;
    const exported: unknown[] = Object.values((await import(/* @vite-ignore */ url)) as object);
    const schemas = exported.filter((one) => one instanceof z.ZodObject);
    if (schemas.length === 0) throw new Error(`${file} exports no schema`);
    const service = file.startsWith("envoy/") ? "envoy" : file.split("/").at(-2);
    return schemas.flatMap(({ shape }) =>
      Object.entries(shape as Record<string, z.ZodType>).map(
        ([name, type]): [string, z.ZodType] => [`${service} ${name}`, type],
      ),
    );
  });
  return (await Promise.all(shapes)).flat();
}

const all = await variables();
const nameIn = (variable: string): string => variable.split(" ")[1] ?? "";

it(".env.example has a row for every variable of every service", () => {
  const missing = all.map(([variable]) => variable).filter((one) => !rows.has(nameIn(one)));
  expect(all.length).toBeGreaterThan(0);
  expect(missing).toEqual([]);
});

it(".env.example contains the defaults of the services", () => {
  const wrong = all.filter(([variable, type]) => {
    const preset = type.safeParse(undefined);
    if (!preset.success || preset.data === undefined) return false; // It has no default.
    const said = type.safeParse(rows.get(nameIn(variable)));
    return !said.success || !isDeepStrictEqual(said.data, preset.data);
  });
  expect(wrong.map(([variable]) => variable)).toEqual([]);
});

it("no secret in .env.example has a value", () => {
  const secrets = [...rows].filter(([name]) =>
    /_KEYS?$|_SECRET$|^(AMQP|MONGODB|REDIS)_URI$/.test(name),
  );
  expect(secrets.filter(([, value]) => value !== "").map(([name]) => name)).toEqual([]);
});
