import { globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";

/** A received email. */
export interface Mail {
  id: string;
  time: string;
  to: string[];
  subject: string;
  text: string;
}

const MOST = 200;

/** An email, or undefined if its file is incomplete or has been deleted. */
function read(file: string): Mail[] {
  try {
    return [JSON.parse(readFileSync(file, "utf8")) as Mail];
  } catch {
    return [];
  }
}

/** Stores emails in a folder, one file each. It keeps only the newest ones, up to a limit. */
export function openMailbox(dir: string) {
  const names = (): string[] =>
    globSync("*.json", { cwd: dir })
      .map((file) => basename(file))
      .toSorted();
  let count = 0;
  return {
    put(mail: Omit<Mail, "id" | "time">): void {
      const time = new Date().toISOString();
      // The file names sort in the order of arrival.
      const id = `${time.replaceAll(":", "-")}-${String((count += 1)).padStart(6, "0")}`;
      const file = join(dir, `${id}.json`);
      writeFileSync(file, JSON.stringify({ id, time, ...mail }), { mode: 0o600 });
      for (const old of names().slice(0, -MOST)) rmSync(join(dir, old), { force: true });
    },
    /** All emails, newest first. */
    all: (): Mail[] =>
      names()
        .toReversed()
        .flatMap((name) => read(join(dir, name))),
  };
}
export type Mailbox = ReturnType<typeof openMailbox>;
