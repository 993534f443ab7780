// `npm run bench` runs every benchmark, `npm run bench -- events` one. Each prints our figure next to that
// of the bare part in the same run, so the comparison is valid on any machine.

const all = ["events"] as const;

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !(all as readonly string[]).includes(name));
if (unknown.length > 0) {
  console.error(`No benchmark is called ${unknown.join(", ")}; there are: ${all.join(", ")}.`);
  process.exit(2);
}
for (const name of asked.length > 0 ? asked : all) await import(`./${name}.ts`);
