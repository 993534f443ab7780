import { create } from "@bufbuild/protobuf";
import { MoneySchema, type Money } from "@ticketing/proto/google/type/money";
import { InvalidFields } from "../errors.ts";

export const money = (currencyCode: string, units: bigint, nanos = 0): Money =>
  create(MoneySchema, { currencyCode, units, nanos });

/** The fields that an error names. */
export function wrongFields(read: () => unknown): string[] {
  try {
    read();
  } catch (error) {
    if (error instanceof InvalidFields) return error.violations.map(({ field }) => field);
    throw error;
  }
  return [];
}
