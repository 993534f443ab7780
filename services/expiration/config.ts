import { z } from "zod";
import { serviceConfig } from "#runtime/config.ts";
import { DELAY_MODES } from "#runtime/messaging/delay/delay.ts";

export const expirationConfig = serviceConfig.extend({
  DELAY: z.enum(DELAY_MODES).default("auto"),
});
