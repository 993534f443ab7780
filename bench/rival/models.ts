import { model, Schema, type InferSchemaType } from "mongoose";

/** How long an order holds its ticket. */
export const HOLD_MS = 900_000;
/** The statuses in which an order holds its ticket. */
export const OPEN = ["created", "awaiting:payment", "complete"];

const required = { type: String, required: true } as const;
const price = { type: Number, required: true, min: 0 } as const;

const ticketSchema = new Schema(
  { title: required, price, userId: required, orderId: { type: String, default: null } },
  { timestamps: true, optimisticConcurrency: true, versionKey: "version" },
);
ticketSchema.index({ orderId: 1, _id: -1 });

/** Tickets as their own service has them. */
export const Ticket = model("Ticket", ticketSchema);
export type TicketFields = InferSchemaType<typeof ticketSchema>;

/** Tickets as orders has replicated them. */
export const OrderedTicket = model(
  "OrderedTicket",
  new Schema({ title: required, price, version: Number }, { versionKey: false }),
);

const orderSchema = new Schema(
  {
    userId: required,
    ticketId: required,
    price,
    status: { type: String, required: true, default: "created" },
    expiresAt: Date,
  },
  { timestamps: true, optimisticConcurrency: true, versionKey: "version" },
);
orderSchema.index({ ticketId: 1, status: 1 });
export const Order = model("Order", orderSchema);

/** Orders as payments has replicated them. */
export const PayableOrder = model(
  "PayableOrder",
  new Schema({ userId: required, price, status: required, version: Number }, { versionKey: false }),
);
