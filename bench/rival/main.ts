import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { connect } from "amqplib";
import mongoose from "mongoose";
import { createApp } from "./app.ts";
import { startEvents } from "./events.ts";

// The rival's one process. It has all services in one, which costs it less than several would.

const { RIVAL_MONGO_URL = "", RIVAL_AMQP_URL = "", RIVAL_SECRET = "" } = process.env;
await mongoose.connect(RIVAL_MONGO_URL);
await Promise.all(Object.values(mongoose.models).map((model) => model.init()));
const broker = await connect(RIVAL_AMQP_URL, { noDelay: true });
const publish = await startEvents(await broker.createChannel());
const server = createApp(RIVAL_SECRET, publish).listen(0, "127.0.0.1");
await once(server, "listening");
console.log(JSON.stringify({ port: (server.address() as AddressInfo).port }));
