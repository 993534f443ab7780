import { serviceConfig, storeConfig, tokenConfig } from "#runtime/config.ts";

export const ticketConfig = serviceConfig.extend({ ...storeConfig, ...tokenConfig });
