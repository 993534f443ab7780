import { getOption, hasOption } from "@bufbuild/protobuf";
import { CurrencySchema, minor_units } from "./gen/ticketing/money/v1/currency_pb.ts";

/** How amounts in a currency are counted; see `MinorUnits` in the contract. */
export interface MinorUnits {
  /** How many digits follow the decimal point. */
  readonly digits: number;
  /** Only multiples of this many minor units can be charged or refunded. */
  readonly step: number;
  /** The smallest price, in minor units. */
  readonly minimum: number;
}

const table: ReadonlyMap<string, MinorUnits> = new Map(
  CurrencySchema.values
    .filter((value) => hasOption(value, minor_units))
    .map((value) => [value.name.replace("CURRENCY_", ""), getOption(value, minor_units)]),
);

/** Every currency that a ticket can be priced in, by its code in ISO 4217, in alphabetical order. */
export const currencies: readonly string[] = [...table.keys()];

/** How amounts in a currency are counted; undefined for one that no ticket can be priced in. */
export const minorUnits = (currency: string): MinorUnits | undefined => table.get(currency);
