import type { Channel } from "amqplib";
import { HOLD_MS, OrderedTicket, PayableOrder, Ticket } from "./models.ts";

/** Sends an event, without waiting for the broker. */
export type Publish = (type: string, body: object) => void;

/** The fields of a ticket and of an order. */
interface Body {
  readonly _id: string;
  readonly title: string;
  readonly price: number;
  readonly version: number;
  readonly userId: string;
  readonly ticketId: string;
  readonly status: string;
}
type Handler = (body: Body) => Promise<unknown>;

const EXCHANGE = "rival";
const TIMERS = "rival.timers";
const PREFETCH = 32;

/** Which service does what with which event, each from a queue of its own. */
const handlers = (
  publish: Publish,
): Readonly<Record<string, Readonly<Record<string, Handler>>>> => ({
  orders: {
    "ticket:created": ({ _id, title, price, version }) =>
      OrderedTicket.create({ _id, title, price, version }),
    "ticket:updated": ({ _id, title, price, version }) =>
      OrderedTicket.updateOne({ _id }, { $set: { title, price, version } }),
  },
  tickets: {
    "order:created": async ({ _id, ticketId }) => {
      const ticket = await Ticket.findById(ticketId);
      if (!ticket) throw new Error("Ticket not found");
      ticket.set({ orderId: _id });
      await ticket.save();
      publish("ticket:updated", ticket.toJSON());
    },
  },
  payments: {
    "order:created": ({ _id, userId, price, status, version }) =>
      PayableOrder.create({ _id, userId, price, status, version }),
  },
});

/** Declares the queues and consumes them. Timers of holds wait in a queue of their own. */
export async function startEvents(channel: Channel): Promise<Publish> {
  const publish: Publish = (type, body) => {
    const content = Buffer.from(JSON.stringify(body));
    channel.publish(EXCHANGE, type, content, { persistent: true });
  };
  await channel.assertExchange(EXCHANGE, "topic");
  await channel.prefetch(PREFETCH);
  for (const [service, byType] of Object.entries(handlers(publish))) {
    const queue = `${EXCHANGE}.${service}`;
    await channel.assertQueue(queue, { durable: true });
    for (const type of Object.keys(byType)) await channel.bindQueue(queue, EXCHANGE, type);
    await channel.consume(queue, (message) => {
      if (!message) return;
      const handle = byType[message.fields.routingKey];
      const body = JSON.parse(message.content.toString()) as Body;
      void handle?.(body).then(
        () => channel.ack(message),
        () => channel.nack(message),
      );
    });
  }
  await channel.assertQueue(TIMERS, { durable: true, messageTtl: HOLD_MS });
  await channel.bindQueue(TIMERS, EXCHANGE, "order:created");
  return publish;
}
