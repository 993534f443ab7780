import { z } from "zod";
import { booleanVariable, serviceConfig, storeConfig, tokenConfig } from "#runtime/config.ts";

export const orderConfig = serviceConfig.extend({
  ...storeConfig,
  ...tokenConfig,
  ORDER_HOLD_SECONDS: z.coerce.number().positive().max(86_400).default(900),
  /** While a buyer is at their bank's page, their hold is made longer by so much, once; 0 for never. */
  HOLD_EXTENSION_SECONDS: z.coerce.number().min(0).max(1_800).default(0),
  ORDER_SWEEP_SECONDS: z.coerce.number().positive().max(60).default(5),
  MAX_OPEN_ORDERS: z.coerce.number().int().positive().default(10),
  MAX_HOLDS_PER_HOUR: z.coerce.number().int().positive().default(3),
  MAX_HOLDS_PER_DAY: z.coerce.number().int().positive().default(4),
  /** So many further holds of the same ticket are each half as long; 0 leaves all as long as the first. */
  HOLD_HALVINGS: z.coerce.number().int().min(0).max(10).default(2),
  /** In place of MAX_OPEN_ORDERS for those who have never bought anything. */
  MAX_OPEN_ORDERS_NEW: z.coerce.number().int().positive().default(4),
  /** How many unpaid holds may come from one address; of IPv6, from one /64. */
  MAX_HOLDS_PER_NETWORK: z.coerce.number().int().positive().default(20),
  /** Whether only those hold whose email address is confirmed. */
  REQUIRE_CONFIRMED_EMAIL: booleanVariable.default(true),
});
