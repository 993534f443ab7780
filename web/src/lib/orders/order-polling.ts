import { Code, ConnectError } from "@connectrpc/connect";
import type { Order } from "@ticketing/proto/web/orders/v1/order";
import { orders } from "#lib/api.ts";

const EVERY_MS = 1_500;
const AT_MOST_MS = 15_000;

/**
 * Looks at an order again and again until it is another one than the page shows, then calls `changed`
 * once. Rests while nobody looks at the page, and slows down while the backend is away. Returns what
 * ends it.
 */
export function pollOrder(shown: Order, changed: () => unknown): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let wait = EVERY_MS;
  let over = false;

  async function look() {
    clearTimeout(timer);
    if (over || document.hidden) return;
    const outcome = await isStale(shown);
    if (over) return;
    if (outcome === "yes") {
      stop();
      changed();
      return;
    }
    wait = outcome === "unknown" ? Math.min(wait * 2, AT_MOST_MS) : EVERY_MS;
    clearTimeout(timer);
    timer = setTimeout(look, wait);
  }

  function stop() {
    over = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", look);
  }

  document.addEventListener("visibilitychange", look);
  timer = setTimeout(look, wait);
  return stop;
}

async function isStale({ id, version }: Order): Promise<"yes" | "no" | "unknown"> {
  try {
    const { order } = await orders().getOrder({ id });
    return order?.version === version ? "no" : "yes";
  } catch (cause) {
    // The session has to be renewed, which loading the page again does.
    return ConnectError.from(cause).code === Code.Unauthenticated ? "yes" : "unknown";
  }
}
