import { refused } from "./errors.ts";

/** The currencies that Stripe takes from a card. */
const supported = new Set(
  `usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn
  bzd cad cdf chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf
  gtq gyd hkd hnl htg huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr
  lrd lsl mad mdl mga mkd mmk mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen
  pgk php pkr pln pyg qar ron rsd rub rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd
  top try ttd twd tzs uah ugx uyu uzs vnd vuv wst xaf xcd xof xpf yer zar zmw`.split(/\s+/),
);

/** The smallest charge, in minor units, where Stripe publishes one. */
const minimum: Record<string, number> = {
  ...{ usd: 50, aed: 200, aud: 50, bgn: 100, brl: 50, cad: 50, chf: 50, czk: 1500, dkk: 250 },
  ...{ eur: 50, gbp: 30, hkd: 400, huf: 17_500, inr: 50, jpy: 50, mxn: 1000, myr: 200, nok: 300 },
  ...{ nzd: 50, pln: 200, ron: 200, sek: 300, sgd: 50, thb: 1000 },
};

/** Eight digits of minor units. Stripe lets a few currencies have more; the project needs none. */
const MAXIMUM = 99_999_999;

/** Refuses a currency that Stripe does not know, and an amount that it would not charge. */
export function chargeable(amount: number, currency: string): void {
  if (!supported.has(currency)) {
    const all = [...supported].join(", ");
    const message = `Invalid currency: ${currency}. Stripe currently supports these currencies: ${all}`;
    throw refused(message, { param: "currency" });
  }
  positive(amount, "amount");
  const least = minimum[currency] ?? 1;
  if (amount < least) {
    const message = `Amount must be at least ${money(least, currency)} ${currency}`;
    throw refused(message, { code: "amount_too_small", param: "amount" });
  }
  if (amount > MAXIMUM) {
    const message = `Amount must be no more than ${money(MAXIMUM, currency)}`;
    throw refused(message, { code: "amount_too_large", param: "amount" });
  }
}

/** Refuses an amount of nothing, or less. */
export function positive(amount: number, param: string): void {
  if (amount >= 1) return;
  const message = "This value must be greater than or equal to 1.";
  throw refused(message, { code: "parameter_invalid_integer", param });
}

/** An amount for people: $19.99. */
export function money(minor: number, currency: string): string {
  const format = new Intl.NumberFormat("en-US", { style: "currency", currency });
  const digits = format.resolvedOptions().maximumFractionDigits ?? 2;
  return format.format(minor / 10 ** digits);
}
