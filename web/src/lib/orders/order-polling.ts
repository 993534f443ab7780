import { Code, ConnectError } from "@connectrpc/connect";
import type { Order } from "@ticketing/proto/web/orders/v1/order";
import { orders } from "#lib/api.ts";

const INTERVAL_MS = 1_500;
const MAX_INTERVAL_MS = 15_000;

/**
 * Polls an order until it differs from the displayed one, then calls `onChange` once. Polling pauses while
 * the page is hidden, and backs off while the backend is unavailable. Returns a function that stops it.
 */
export function pollOrder(displayed: Order, onChange: () => unknown): () => void {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let intervalMs = INTERVAL_MS;
  let isStopped = false;

  async function poll() {
    clearTimeout(timer);
    if (isStopped || document.hidden) return;
    const state = await compare(displayed);
    if (isStopped) return;
    if (state === "changed") {
      stop();
      onChange();
      return;
    }
    intervalMs = state === "unknown" ? Math.min(intervalMs * 2, MAX_INTERVAL_MS) : INTERVAL_MS;
    clearTimeout(timer);
    timer = setTimeout(poll, intervalMs);
  }

  function stop() {
    isStopped = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", poll);
  }

  document.addEventListener("visibilitychange", poll);
  timer = setTimeout(poll, intervalMs);
  return stop;
}

async function compare({ id, version }: Order): Promise<"changed" | "unchanged" | "unknown"> {
  try {
    const { order } = await orders().getOrder({ id });
    return order?.version === version ? "unchanged" : "changed";
  } catch (cause) {
    // Reloading the page renews the session.
    return ConnectError.from(cause).code === Code.Unauthenticated ? "changed" : "unknown";
  }
}
