// `npm run bench`: every benchmark; `npm run bench -- events`: one. Each shows our figure beside what
// the bare part does in the same run, so that it says something on any machine.

const all = ["events"] as const;

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(all as readonly string[]).includes(name));
if (unknown.length > 0) {
  console.error(`No benchmark is called ${unknown.join(", ")}; there are: ${all.join(", ")}.`);
  process.exit(2);
}
for (const name of asked.length > 0 ? asked : all) await import(`./${name}.ts`);
