/** Whether this is `npm run prove`: many purchases and long outages. */
export const THOROUGH = process.env["THOROUGH"] === "1";
