import { text } from "@sveltejs/kit";

/** Reports that this server is up. The backend has probes of its own. */
export const GET = () => text("ok\n", { headers: { "cache-control": "no-store" } });
