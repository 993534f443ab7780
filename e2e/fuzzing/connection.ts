import { connect } from "node:net";
import { setTimeout as passing } from "node:timers/promises";

/** After its last word nobody is waited for longer: many requests here have no answer. */
const QUIET_MS = 60;

/**
 * Sends pieces of bytes over a connection of its own, and hangs up: with an end or a reset, once it has
 * been quiet. Whatever the other side does is right, as long as it lives. With
 * `greeted` the other side speaks first. Resolves to what it said.
 */
export async function exchange(
  address: string,
  pieces: readonly Buffer[],
  { half = false, reset = false, greeted = false } = {},
): Promise<string> {
  const [host, port] = address.split(":");
  const socket = connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true });
  let said = "";
  let heardAt = Date.now();
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => undefined);
  socket.on("data", (chunk) => {
    said += chunk.toString("latin1");
    heardAt = Date.now();
  });
  socket.once("end", () => socket.destroy());
  const greeting = new Promise<void>((resolve) => socket.once("data", () => resolve()));
  if (greeted) await Promise.race([greeting, closed]);
  for (const piece of pieces) {
    if (socket.destroyed) break;
    socket.write(piece);
    await passing(1);
  }
  if (half) socket.end();
  heardAt = Date.now();
  while (!socket.destroyed && Date.now() - heardAt < QUIET_MS) {
    await Promise.race([closed, passing(QUIET_MS / 3)]);
  }
  if (reset) socket.resetAndDestroy();
  else socket.destroy();
  await closed;
  return said;
}

/** Does each piece of work, so many at a time. */
export async function runConcurrently(count: number, works: readonly (() => Promise<unknown>)[]) {
  const queue = [...works];
  const worker = async () => {
    for (let work = queue.shift(); work; work = queue.shift()) await work();
  };
  await Promise.all(Array.from({ length: count }, worker));
}
