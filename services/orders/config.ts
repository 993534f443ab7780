import { z } from "zod";
import { serviceConfig, storeConfig, tokenConfig } from "#runtime/config.ts";

export const orderConfig = serviceConfig.extend({
  ...storeConfig,
  ...tokenConfig,
  ORDER_HOLD_SECONDS: z.coerce.number().positive().max(86_400).default(900),
  /** While a buyer is at their bank's page, their hold is made longer by so much, once; 0 for never. */
  HOLD_EXTENSION_SECONDS: z.coerce.number().min(0).max(1_800).default(0),
  ORDER_SWEEP_SECONDS: z.coerce.number().positive().max(60).default(5),
  MAX_OPEN_ORDERS: z.coerce.number().int().positive().default(10),
  MAX_HOLDS_PER_HOUR: z.coerce.number().int().positive().default(3),
});
