import { connect } from "node:net";
import { setTimeout as passing } from "node:timers/promises";

/** A silence that closes the connection, because many malformed requests get no response. */
const SILENCE_MS = 60;

/**
 * Sends pieces of bytes over a new connection. After a silence it closes the connection, with an end or
 * a reset. With `greeted` the server speaks first. Resolves to what the server sent: any response is
 * correct if the process survives.
 */
export async function exchange(
  address: string,
  pieces: readonly Buffer[],
  { half = false, reset = false, greeted = false } = {},
): Promise<string> {
  const [host, port] = address.split(":");
  const socket = connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true });
  let received = "";
  let receivedAt = Date.now();
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => undefined);
  socket.on("data", (chunk) => {
    received += chunk.toString("latin1");
    receivedAt = Date.now();
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
  receivedAt = Date.now();
  while (!socket.destroyed && Date.now() - receivedAt < SILENCE_MS) {
    await Promise.race([closed, passing(SILENCE_MS / 3)]);
  }
  if (reset) socket.resetAndDestroy();
  else socket.destroy();
  await closed;
  return received;
}

/** Runs all tasks, at most `concurrency` at a time. */
export async function runConcurrently(
  concurrency: number,
  tasks: readonly (() => Promise<unknown>)[],
) {
  const queue = [...tasks];
  const worker = async () => {
    for (let task = queue.shift(); task; task = queue.shift()) await task();
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}
