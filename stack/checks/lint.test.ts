import { ESLint } from "eslint";
import { expect, it } from "vitest";

// What a room may not know, it cannot import: each rule of eslint.config.js is broken here once.

const eslint = new ESLint({ cwd: new URL("../..", import.meta.url).pathname });

async function refusalsOf(filePath: string, code: string): Promise<string[]> {
  const [result] = await eslint.lintText(code, { filePath });
  return (result?.messages ?? []).map(({ ruleId }) => ruleId ?? "not read");
}

const imports = (module: string): string => `import * as it from "${module}";\nexport { it };\n`;
const ts = (path: string): string => `${path}.ts`;

it.each([
  // Services: no room's inside, no local parts, also where a process begins.
  ["services/orders/hold", "../tickets/ticket.ts"],
  ["services/orders/hold", "../../web/src/lib/format/money.ts"],
  ["services/orders/main", "../tickets/ticket.ts"],
  ["services/orders/main", "#stack/process"],
  ["services/orders/config", "../tickets/config.ts"],
  ["services/payments/command", "../orders/order.ts"],
  ["services/auth/administrator", "../orders/order.ts"],
  ["services/orders/rpc", "../tickets/ticket.ts"],
  ["services/orders/events", "#stack/process"],
  ["services/orders/hold.test", "../tickets/ticket.ts"],
  ["services/orders/testing", "../tickets/testing.ts"],
  ["services/catalogue", "../stack/process/ports.ts"],
  // The runtime: nothing of the business.
  ["services/runtime/broker", "#catalogue"],
  ["services/runtime/broker", "@ticketing/proto/orders/v1/order"],
  ["services/runtime/broker", "../orders/order.ts"],
  // Rules: nothing of the wire; methods: nothing of the broker.
  ["services/orders/hold", "@connectrpc/connect"],
  ["services/orders/hold", "amqplib"],
  ["services/orders/hold", "./rpc.ts"],
  ["services/payments/pay", "./events.ts"],
  ["services/payments/seller-rpc", "amqplib"],
  // The storefront: the contracts alone, in its pages too.
  ["web/src/lib/money", "mongoose"],
  ["web/src/lib/money", "#runtime/money.ts"],
  ["web/src/lib/money", "#catalogue"],
  ["web/src/lib/money", "../../../services/runtime/money.ts"],
  ["web/src/routes/+page", "mongoose"],
  ["web/src/routes/+page", "../../../services/runtime/money.ts"],
  ["web/src/routes/orders/+page.server", "amqplib"],
  ["web/src/routes/orders/+page.server", "@connectrpc/connect-node"],
  // Tests of the whole: what a client knows. Whatever starts the parts: no inside of a service.
  ["e2e/journey.test", "#runtime/money.ts"],
  ["e2e/journey.test", "../services/orders/hold.ts"],
  ["e2e/faults/world", "../../web/src/lib/format/money.ts"],
  ["stack/launcher/start", "../../services/orders/hold.ts"],
  ["envoy/main", "../web/src/lib/format/money.ts"],
  ["k8s/topology.test", "../services/catalogue.ts"],
  // The rooms of stack: no room imports the inside of another.
  ["stack/launcher/start", "../parts/mongo.ts"],
  ["stack/launcher/start", "#stack/parts/mongo.ts"],
  ["stack/stripe/api/api", "../../process/process.ts"],
])("%s may not import %s", async (path, module) => {
  expect(await refusalsOf(ts(path), imports(module))).toEqual(["no-restricted-imports"]);
});

it.each([
  ["services/orders/main", "#catalogue"],
  ["services/orders/main", "./config.ts"],
  ["services/orders/rpc", "@connectrpc/connect"],
  ["services/orders/hold.test", "#stack/process"],
  ["services/orders/hold", "mongoose"],
  ["web/src/routes/+page.server", "#lib/format/money.ts"],
  ["e2e/journey.test", "#runtime/envelope.ts"],
  ["e2e/faults/world", "#stack/process"],
  ["stack/launcher/start", "#runtime/topology.ts"],
  ["stack/launcher/edge", "../../envoy/config.ts"],
  ["stack/stripe/api/api", "../objects/errors.ts"],
])("%s may import %s", async (path, module) => {
  expect(await refusalsOf(ts(path), imports(module))).toEqual([]);
});

it.each([
  ["reads the environment", "export const it = process.env.HOME;\n", "no-restricted-syntax"],
  ["prints", 'console.log("it");\n', "no-console"],
])("nothing below main.ts %s", async (_what, code, rule) => {
  expect(await refusalsOf("services/orders/hold.ts", code)).toEqual([rule]);
});
