export { startStripe } from "./server.ts";
