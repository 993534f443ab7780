export { assertUnclaimed, claim, ownerVariables } from "./claim.ts";
export {
  withDatabase,
  servicesWithDatabase,
  servicesWithoutDatabase,
  type ServiceName,
  type ServiceWithDatabase,
} from "./databases.ts";
export { startMongo, type Mongo } from "./mongo.ts";
export { startPart, type Part } from "./part.ts";
export { startParts, type Parts } from "./parts.ts";
export { manage, type Management } from "./rabbit/management.ts";
export { startRabbit, type Rabbit } from "./rabbit/rabbit.ts";
export { openSecrets } from "./secrets.ts";
