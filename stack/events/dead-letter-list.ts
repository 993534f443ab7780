import type { ConfirmChannel } from "amqplib";
import { toLetter, visitDead, type Letter } from "./dead-letters.ts";
import { safe, shortType } from "./payload.ts";
import { age, table } from "./text-table.ts";

/** The oldest dead letters of some services, and how many more there are. They stay where they are. */
export async function listDead(
  channel: ConfirmChannel,
  services: readonly string[],
  limit: number,
): Promise<{ letters: Letter[]; more: number }> {
  const letters: Letter[] = [];
  let more = 0;
  for (const service of services) {
    const { left } = await visitDead(channel, service, limit - letters.length, (message) => {
      letters.push(toLetter(service, message));
      return Promise.resolve("left");
    });
    more += left;
  }
  return { letters, more };
}

/** It stands last, and is what one came for. */
const LONGEST_REASON = 300;
const heads = ["SERVICE", "AGE", "TRIES", "TYPE", "ID", "SUBJECT", "REASON"];

export function deadTable(letters: readonly Letter[]): string {
  const rows = letters.map((letter) => [
    letter.service,
    age(letter.time) || "-",
    String(letter.tries ?? "-"),
    shortType(letter.type),
    safe(letter.id) || "-",
    safe(letter.subject) || "-",
    safe(letter.reason, LONGEST_REASON),
  ]);
  return table(heads, rows);
}
