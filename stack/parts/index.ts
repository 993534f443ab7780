export { marked, mustBeFree } from "./claim.ts";
export { inDatabase, stores } from "./databases.ts";
export { startMongo, type Mongo } from "./mongo.ts";
export { keep, type Part } from "./part.ts";
export { startParts, type Parts } from "./parts.ts";
export { manage, type Management } from "./rabbit/management.ts";
export { startRabbit, type Rabbit } from "./rabbit/rabbit.ts";
export { openSecrets } from "./secrets.ts";
