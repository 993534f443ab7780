import { serviceConfig } from "#runtime/config.ts";

export const expirationConfig = serviceConfig;
