import { describe, expect, it } from "vitest";
import { formatLeft, formatTime, instant, isTimeZone, preferredLocale, wallTime } from "./time.ts";

const utc = (text: string) => Date.parse(text);

describe("instant", () => {
  it.each([
    ["2027-06-04T20:00", "UTC", "2027-06-04T20:00:00Z"],
    ["2027-06-04T20:00", "Europe/Berlin", "2027-06-04T18:00:00Z"],
    ["2027-01-04T20:00", "Europe/Berlin", "2027-01-04T19:00:00Z"],
    ["2027-06-04T20:00", "America/New_York", "2027-06-05T00:00:00Z"],
    ["2027-06-04T20:00", "Pacific/Auckland", "2027-06-04T08:00:00Z"],
    ["2027-06-04T20:00:30", "Asia/Kolkata", "2027-06-04T14:30:30Z"],
    ["2027-06-04T20:00:00Z", "Europe/Berlin", "2027-06-04T20:00:00Z"],
    ["2027-06-04T20:00:00.500+02:00", "UTC", "2027-06-04T18:00:00.500Z"],
  ])("reads %s in %s", (text, zone, expected) => {
    expect(instant(text, zone)).toBe(utc(expected));
  });

  it("takes an hour that daylight saving repeats as the first, one that it skips an hour later", () => {
    expect(instant("2026-10-25T02:30", "Europe/Berlin")).toBe(utc("2026-10-25T00:30:00Z"));
    expect(instant("2027-03-28T02:30", "Europe/Berlin")).toBe(utc("2027-03-28T01:30:00Z"));
  });

  it.each(["", "tomorrow", "2027-06-04", "2027-13-40T99:99"])("refuses %j", (text) => {
    expect(instant(text, "UTC")).toBeUndefined();
  });

  it("undoes wallTime", () => {
    const at = utc("2027-06-04T18:00:00Z");
    expect(instant(wallTime(at, "Asia/Tokyo"), "Asia/Tokyo")).toBe(at);
  });
});

it("says the zone with the time", () => {
  expect(formatTime(utc("2027-06-04T18:00:00Z"), "en-GB", "UTC")).toMatch(/18:00.*UTC/);
});

it("counts down to nothing and no further", () => {
  expect([900_000, 899_001, 1, 0, -5].map(formatLeft)).toEqual([
    "15:00",
    "15:00",
    "0:01",
    "0:00",
    "0:00",
  ]);
});

it("takes the first language that is one", () => {
  expect(preferredLocale("de-CH,de;q=0.9,en;q=0.8")).toBe("de-CH");
  expect(preferredLocale("*, !!, fr;q=0.5")).toBe("fr");
  expect(preferredLocale(null)).toBe("en");
});

it("knows zones from nonsense", () => {
  expect([isTimeZone("Europe/Berlin"), isTimeZone("Mars/Base"), isTimeZone("")]).toEqual([
    true,
    false,
    false,
  ]);
});
