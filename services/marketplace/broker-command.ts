import { parseArgs } from "node:util";
import { catalogue } from "./catalogue.ts";
import { definitionsOf } from "#runtime/messaging/topology/permissions.ts";

// `node services/marketplace/broker-command.ts [VHOST] [--plugin]` prints what a RabbitMQ of production must hold
// before services of this version start, and what each of their users may do there, as definitions:
// https://www.rabbitmq.com/docs/definitions. docs/operations.md says how they get there.

const { values, positionals } = parseArgs({
  options: { plugin: { type: "boolean", default: false } },
  allowPositionals: true,
});
const [vhost = "/"] = positionals;
console.log(JSON.stringify(definitionsOf(vhost, catalogue, values.plugin), null, 2));
