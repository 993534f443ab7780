import type { ConfirmChannel } from "amqplib";
import { shortType } from "../registry.ts";
import { sanitize } from "../terminal-text.ts";
import { age, table } from "../text-table.ts";
import { toDeadLetter, type DeadLetter } from "./dead-letter.ts";
import { visitDeadLetters } from "./queue.ts";

/** The oldest dead letters of some services, and the number of the others. None is removed. */
export async function listDeadLetters(
  channel: ConfirmChannel,
  services: readonly string[],
  limit: number,
): Promise<{ deadLetters: DeadLetter[]; more: number }> {
  const deadLetters: DeadLetter[] = [];
  let more = 0;
  for (const service of services) {
    const rest = limit - deadLetters.length;
    const { left } = await visitDeadLetters(channel, service, rest, (message) => {
      deadLetters.push(toDeadLetter(service, message));
      return Promise.resolve("left");
    });
    more += left;
  }
  return { deadLetters, more };
}

const MAX_REASON_LENGTH = 300;
const HEADERS = ["SERVICE", "AGE", "TRIES", "TYPE", "ID", "SUBJECT", "REASON"];

export function deadLetterTable(deadLetters: readonly DeadLetter[]): string {
  const rows = deadLetters.map((letter) => [
    letter.service,
    age(letter.time) || "-",
    String(letter.tries ?? "-"),
    shortType(letter.type),
    sanitize(letter.id) || "-",
    sanitize(letter.subject) || "-",
    sanitize(letter.reason, MAX_REASON_LENGTH),
  ]);
  return table(HEADERS, rows);
}
