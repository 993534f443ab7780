import { v7, version } from "uuid";

/** A new id: a UUIDv7, whose order is that of time. */
export const newId = (): string => v7();

/** When an id was made, in milliseconds since 1970; 0 for one that is not ours. */
export function bornAt(id: string): number {
  try {
    return version(id) === 7 ? Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16) : 0;
  } catch {
    return 0;
  }
}
