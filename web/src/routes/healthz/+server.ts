import { text } from "@sveltejs/kit";

/** This server is up. Whether the backend is, its own probes say. */
export const GET = () => text("ok\n", { headers: { "cache-control": "no-store" } });
