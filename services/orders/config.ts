import { z } from "zod";
import { booleanVariable, serviceConfig, storeConfig, tokenConfig } from "#runtime/config.ts";

export const orderConfig = serviceConfig.extend({
  ...storeConfig,
  ...tokenConfig,
  ORDER_HOLD_SECONDS: z.coerce.number().positive().max(86_400).default(900),
  /** How long a hold is extended, once, while the buyer is at their bank's page; 0 for never. */
  HOLD_EXTENSION_SECONDS: z.coerce.number().min(0).max(1_800).default(0),
  ORDER_SWEEP_SECONDS: z.coerce.number().positive().max(60).default(5),
  MAX_OPEN_ORDERS: z.coerce.number().int().positive().default(10),
  MAX_HOLDS_PER_HOUR: z.coerce.number().int().positive().default(3),
  MAX_HOLDS_PER_DAY: z.coerce.number().int().positive().default(4),
  /** How many further holds of the same ticket are each half as long; 0 for none. */
  HOLD_HALVINGS: z.coerce.number().int().min(0).max(10).default(2),
  /** MAX_OPEN_ORDERS for a buyer who has never bought anything. */
  MAX_OPEN_ORDERS_NEW: z.coerce.number().int().positive().default(4),
  /** How many unpaid holds may come from one IPv4 address or one IPv6 /64. */
  MAX_HOLDS_PER_NETWORK: z.coerce.number().int().positive().default(20),
  /** Whether holding a ticket requires a confirmed email address. */
  REQUIRE_CONFIRMED_EMAIL: booleanVariable.default(true),
});

/** The rules of holds as the environment sets them. */
export const holdSettings = (config: z.infer<typeof orderConfig>) => ({
  holdSeconds: config.ORDER_HOLD_SECONDS,
  extensionSeconds: config.HOLD_EXTENSION_SECONDS,
  maxOpenOrders: config.MAX_OPEN_ORDERS,
  maxHoldsPerHour: config.MAX_HOLDS_PER_HOUR,
  maxHoldsPerDay: config.MAX_HOLDS_PER_DAY,
  holdHalvings: config.HOLD_HALVINGS,
  maxOpenOrdersNew: config.MAX_OPEN_ORDERS_NEW,
  maxHoldsPerNetwork: config.MAX_HOLDS_PER_NETWORK,
  requireConfirmedEmail: config.REQUIRE_CONFIRMED_EMAIL,
});
