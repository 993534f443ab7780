import { expect, it } from "vitest";
import { formatRemaining, formatTime, isTimeZone } from "./time.ts";

const utc = (text: string) => Date.parse(text);

it("shows the time zone with the time", () => {
  expect(formatTime(utc("2027-06-04T18:00:00Z"), "en-GB", "UTC")).toMatch(/18:00.*UTC/);
});

it("formats a remaining time down to zero", () => {
  expect([900_000, 899_001, 1, 0, -5].map(formatRemaining)).toEqual([
    "15:00",
    "15:00",
    "0:01",
    "0:00",
    "0:00",
  ]);
});

it("recognizes time zones", () => {
  expect([isTimeZone("Europe/Berlin"), isTimeZone("Mars/Base"), isTimeZone("")]).toEqual([
    true,
    false,
    false,
  ]);
});
