import { parseArgs } from "node:util";
import { catalogue } from "./catalogue.ts";
import { definitionsOf } from "#runtime/messaging/topology/permissions.ts";

// `node services/marketplace/broker-command.ts [VHOST] [--plugin]` prints the definitions that a RabbitMQ in
// production needs before services of this version start, including the permissions of their users:
// https://www.rabbitmq.com/docs/definitions. docs/operations.md describes how to import them.

const { values, positionals } = parseArgs({
  options: { plugin: { type: "boolean", default: false } },
  allowPositionals: true,
});
const [vhost = "/"] = positionals;
console.log(JSON.stringify(definitionsOf(vhost, catalogue, values.plugin), null, 2));
