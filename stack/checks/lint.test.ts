import { globSync } from "node:fs";
import { dirname } from "node:path";
import { ESLint } from "eslint";
import { expect, it } from "vitest";

// The linter rejects imports that cross a boundary: this breaks each rule of eslint.config.js once.

const root = new URL("../..", import.meta.url).pathname;
const eslint = new ESLint({ cwd: root });

async function refusalsOf(filePath: string, code: string): Promise<string[]> {
  const [result] = await eslint.lintText(code, { filePath });
  return (result?.messages ?? []).map(({ ruleId }) => ruleId ?? "not read");
}

const imports = (module: string): string => `import * as it from "${module}";\nexport { it };\n`;
const ts = (path: string): string => `${path}.ts`;

it.each([
  // Services, including their entry points, import no internals of another service and no local parts.
  ["services/orders/hold", "../tickets/ticket.ts"],
  ["services/orders/hold", "../../web/src/lib/format/money.ts"],
  ["services/orders/main", "../tickets/ticket.ts"],
  ["services/orders/main", "#stack/process"],
  ["services/orders/config", "../tickets/config.ts"],
  ["services/payments/operations/command", "../../orders/order.ts"],
  ["services/auth/administrator", "../orders/order.ts"],
  ["services/orders/rpc", "../tickets/ticket.ts"],
  ["services/orders/events", "#stack/process"],
  ["services/orders/hold.test", "../tickets/ticket.ts"],
  ["services/orders/testing", "../tickets/testing.ts"],
  ["services/marketplace/catalogue", "../../stack/process/ports.ts"],
  ["services/runtime/messaging/delay/delay", "../../../orders/order.ts"],
  ["services/payments/refunds/refund", "../../orders/order.ts"],
  ["services/payments/refunds/refund.test", "../../orders/order.ts"],
  // The runtime imports nothing of the business.
  ["services/runtime/messaging/relay", "#marketplace/catalogue.ts"],
  ["services/runtime/messaging/relay", "@ticketing/proto/orders/v1/order"],
  ["services/runtime/messaging/relay", "../../orders/order.ts"],
  // Rules import nothing of the transport, and methods import nothing of the broker.
  ["services/orders/hold", "@connectrpc/connect"],
  ["services/orders/hold", "amqplib"],
  ["services/orders/hold", "./rpc.ts"],
  ["services/payments/checkout/pay", "../events.ts"],
  ["services/payments/checkout/pay", "@connectrpc/connect"],
  ["services/payments/rpc", "amqplib"],
  // Imports between the rooms of a service run one way.
  ["services/payments/stripe/webhooks", "../settlement/settler.ts"],
  ["services/payments/refunds/refund", "../checkout/pay.ts"],
  ["services/payments/settlement/settle", "../operations/command.ts"],
  ["services/auth/keys/key", "../accounts/ban.ts"],
  ["services/runtime/store/aggregate", "../messaging/relay.ts"],
  ["services/runtime/messaging/relay", "../rpc/server.ts"],
  ["services/runtime/messaging/broker/broker", "../relay.ts"],
  ["services/runtime/messaging/topology/topology", "../broker/broker.ts"],
  ["services/runtime/messaging/relay", "./delay/delay.ts"],
  // The storefront, including its pages, imports the contracts only.
  ["web/src/lib/money", "mongoose"],
  ["web/src/lib/money", "#runtime/values/money.ts"],
  ["web/src/lib/money", "#marketplace/catalogue.ts"],
  ["web/src/lib/money", "../../../services/runtime/money.ts"],
  ["web/src/routes/+page", "mongoose"],
  ["web/src/routes/+page", "../../../services/runtime/money.ts"],
  ["web/src/routes/orders/+page.server", "amqplib"],
  ["web/src/routes/orders/+page.server", "@connectrpc/connect-node"],
  // End-to-end tests know what a client knows. What starts the parts imports no internals of a service.
  ["e2e/journey.test", "#runtime/values/money.ts"],
  ["e2e/journey.test", "../services/orders/hold.ts"],
  ["e2e/faults/fixture", "../../web/src/lib/format/money.ts"],
  ["stack/launcher/start", "../../services/orders/hold.ts"],
  ["envoy/main", "../web/src/lib/format/money.ts"],
  ["k8s/topology.test", "../services/orders/order.ts"],
  // No room of stack imports the internals of another.
  ["stack/launcher/start", "../parts/mongo.ts"],
  ["stack/launcher/start", "#stack/parts/mongo.ts"],
  ["stack/stripe/api/api", "../../process/process.ts"],
])("%s cannot import %s", async (path, module) => {
  expect(await refusalsOf(ts(path), imports(module))).toEqual(["no-restricted-imports"]);
});

it.each([
  ["services/orders/main", "#marketplace/catalogue.ts"],
  ["services/orders/main", "./config.ts"],
  ["services/orders/rpc", "@connectrpc/connect"],
  ["services/orders/hold.test", "#stack/process"],
  ["services/orders/hold", "mongoose"],
  ["services/payments/settlement/settle", "../refunds/refund.ts"],
  ["services/payments/settlement/settle", "../payment.ts"],
  ["services/runtime/messaging/broker/broker", "../topology/topology.ts"],
  ["services/runtime/testing/setup", "#stack/parts"],
  ["web/src/routes/+page.server", "#lib/format/money.ts"],
  ["e2e/journey.test", "#runtime/messaging/topology/envelope.ts"],
  ["e2e/faults/fixture", "#stack/process"],
  ["stack/launcher/start", "#runtime/messaging/topology/topology.ts"],
  ["stack/launcher/edge", "../../envoy/config/edge-config.ts"],
  ["stack/stripe/api/api", "../objects/errors.ts"],
])("%s can import %s", async (path, module) => {
  expect(await refusalsOf(ts(path), imports(module))).toEqual([]);
});

it.each([
  ["reads the environment", "export const it = process.env.HOME;\n", "no-restricted-syntax"],
  ["prints", 'console.log("it");\n', "no-console"],
])("no file except main.ts %s", async (_what, code, rule) => {
  expect(await refusalsOf("services/orders/hold.ts", code)).toEqual([rule]);
});

it.each([
  ["a name that the glossary has replaced", "export const nudge = 1;\n", "id-denylist"],
  [
    "a function over 60 lines",
    `export function it() {\n${"  it();\n".repeat(60)}}\n`,
    "max-lines-per-function",
  ],
  [
    "a file over 250 lines",
    "export const it = 1;\n".repeat(1) + "// it\n".repeat(250),
    "max-lines",
  ],
])("code has not %s", async (_what, code, rule) => {
  expect(await refusalsOf("services/orders/hold.ts", code)).toEqual([rule]);
});

it("no folder has more than twelve production files", () => {
  const files = globSync("{services,stack,envoy,k8s,web/src}/**/*.{ts,svelte}", { cwd: root });
  const folders = new Map<string, number>();
  for (const file of files) {
    if (/test\.ts$|testing|node_modules|\.svelte-kit/.test(file)) continue;
    folders.set(dirname(file), (folders.get(dirname(file)) ?? 0) + 1);
  }
  expect(folders.size).toBeGreaterThan(50);
  expect([...folders].filter(([, count]) => count > 12)).toEqual([]);
});
