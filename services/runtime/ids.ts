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

/** The smallest id of a millisecond: those made before are smaller, those made later are not. */
export function firstIdAt(ms: number): string {
  const time = Math.max(0, Math.floor(ms)).toString(16).padStart(12, "0");
  return `${time.slice(0, 8)}-${time.slice(8)}-7000-8000-000000000000`;
}
