import { z } from "zod";
import { serviceConfig, storeConfig, tokenConfig } from "#runtime/config.ts";

export const orderConfig = serviceConfig.extend({
  ...storeConfig,
  ...tokenConfig,
  ORDER_HOLD_SECONDS: z.coerce.number().positive().max(86_400).default(900),
  ORDER_SWEEP_SECONDS: z.coerce.number().positive().max(60).default(5),
  MAX_OPEN_ORDERS: z.coerce.number().int().positive().default(10),
  MAX_HOLDS_PER_HOUR: z.coerce.number().int().positive().default(3),
});
