import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { configure } from "./config.ts";

test("the plugin for delayed messages is enabled exactly if this RabbitMQ has it", () => {
  const dir = mkdtempSync(join(tmpdir(), "rabbit-config-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const ports = { amqp: 1, management: 2, epmd: 3, dist: 4 };
  const tools = { sbin: join(dir, "sbin"), erlang: "" };
  function enabled(): string {
    configure({ dir, ports, vhost: "v", users: [] }, tools);
    return readFileSync(join(dir, "enabled_plugins"), "utf8");
  }
  expect(enabled()).toBe("[rabbitmq_management].\n");
  mkdirSync(join(dir, "plugins/rabbitmq_delayed_message_exchange-4.1.0.ez"), { recursive: true });
  expect(enabled()).toBe("[rabbitmq_management,rabbitmq_delayed_message_exchange].\n");
});
