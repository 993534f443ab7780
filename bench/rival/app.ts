import express, { type ErrorRequestHandler, type RequestHandler } from "express";
import jwt from "jsonwebtoken";
import { isValidObjectId } from "mongoose";
import type { Publish } from "./events.ts";
import { HOLD_MS, OPEN, Order, OrderedTicket, Ticket } from "./models.ts";

// The rival: the same reads and writes as a good Express developer writes them, with lean reads and
// plain JSON. It promises less: no outbox, so a crash between the save and the publish loses the event;
// the driver's default write concern on a single server; publishes without confirmation.

export const COOKIE = "session";
const PAGE = 100;

/** The user in the token of the cookie. */
interface User {
  readonly id: string;
  readonly email: string;
}

class HttpError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

const currentUser =
  (secret: string): RequestHandler =>
  (req, res, next) => {
    const token = new RegExp(`(?:^|; )${COOKIE}=([^;]+)`).exec(req.headers.cookie ?? "")?.[1];
    try {
      if (token !== undefined) res.locals["user"] = jwt.verify(token, secret);
    } catch {
      // An invalid token is no token.
    }
    next();
  };

const requireUser: RequestHandler = (_req, res, next) => {
  if (!res.locals["user"]) throw new HttpError(401, "Not authorized");
  next();
};

const toErrorResponse: ErrorRequestHandler = (error: Error, _req, res, _next) => {
  const status = error instanceof HttpError ? error.status : 500;
  res.status(status).json({ errors: [{ message: error.message }] });
};

const createTicket =
  (publish: Publish): RequestHandler =>
  async (req, res) => {
    const { title, price } = req.body as { title?: unknown; price?: unknown };
    if (typeof title !== "string" || title.trim() === "") throw new HttpError(400, "Invalid title");
    if (typeof price !== "number" || !(price > 0)) throw new HttpError(400, "Invalid price");
    const { id: userId } = res.locals["user"] as User;
    const ticket = await Ticket.create({ title, price, userId });
    publish("ticket:created", ticket.toJSON());
    res.status(201).json(ticket);
  };

const createOrder =
  (publish: Publish): RequestHandler =>
  async (req, res) => {
    const { ticketId } = req.body as { ticketId?: unknown };
    if (typeof ticketId !== "string" || !isValidObjectId(ticketId))
      throw new HttpError(400, "Invalid ticketId");
    const ticket = await OrderedTicket.findById(ticketId).lean();
    if (!ticket) throw new HttpError(404, "Not found");
    const isHeld = await Order.exists({ ticketId, status: { $in: OPEN } });
    if (isHeld) throw new HttpError(400, "Ticket is already reserved");
    const { id: userId } = res.locals["user"] as User;
    const expiresAt = new Date(Date.now() + HOLD_MS);
    const order = await Order.create({ userId, ticketId, price: ticket.price, expiresAt });
    publish("order:created", order.toJSON());
    res.status(201).json(order);
  };

/** The whole application; `publish` sends an event and waits for nothing. */
export function createApp(secret: string, publish: Publish): express.Express {
  const app = express();
  app.disable("x-powered-by");
  app.use(express.json());
  app.use(currentUser(secret));
  app.get("/api/users/currentuser", (_req, res) => {
    res.json({ currentUser: res.locals["user"] ?? null });
  });
  app.get("/api/tickets", async (_req, res) => {
    res.json(await Ticket.find({ orderId: null }).sort({ _id: -1 }).limit(PAGE).lean());
  });
  app.get("/api/tickets/:id", async (req, res) => {
    const ticket = await Ticket.findById(req.params.id).lean();
    if (!ticket) throw new HttpError(404, "Not found");
    res.json(ticket);
  });
  app.post("/api/tickets", requireUser, createTicket(publish));
  app.post("/api/orders", requireUser, createOrder(publish));
  app.use(toErrorResponse);
  return app;
}
