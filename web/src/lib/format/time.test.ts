import { describe, expect, it } from "vitest";
import {
  formatRemaining,
  formatTime,
  parseLocalTime,
  isRepeat,
  isTimeZone,
  preferredLocale,
  wallTime,
} from "./time.ts";

const utc = (text: string) => Date.parse(text);

describe("parseLocalTime", () => {
  it.each([
    ["2027-06-04T20:00", "UTC", "2027-06-04T20:00:00Z"],
    ["2027-06-04T20:00", "Europe/Berlin", "2027-06-04T18:00:00Z"],
    ["2027-01-04T20:00", "Europe/Berlin", "2027-01-04T19:00:00Z"],
    ["2027-06-04T20:00", "America/New_York", "2027-06-05T00:00:00Z"],
    ["2027-06-04T20:00", "Pacific/Auckland", "2027-06-04T08:00:00Z"],
    ["2027-06-04T20:00:30", "Asia/Kolkata", "2027-06-04T14:30:30Z"],
    ["2027-06-04 20:00", "Europe/Berlin", "2027-06-04T18:00:00Z"],
    ["２０２７-06-04T20:00", "Europe/Berlin", "2027-06-04T18:00:00Z"],
    ["2028-02-29T20:00", "UTC", "2028-02-29T20:00:00Z"],
    ["2027-06-04T20:00:00Z", "Europe/Berlin", "2027-06-04T20:00:00Z"],
    ["2027-06-04T20:00:00.500+02:00", "UTC", "2027-06-04T18:00:00.500Z"],
  ])("reads %s in %s", (text, zone, expected) => {
    expect(parseLocalTime(text, zone)).toBe(utc(expected));
  });

  it("takes a time that daylight saving repeats as the first, or as the second where asked", () => {
    const [first, second] = [utc("2026-10-25T00:30:00Z"), utc("2026-10-25T01:30:00Z")];
    expect(parseLocalTime("2026-10-25T02:30", "Europe/Berlin")).toBe(first);
    expect(parseLocalTime("2026-10-25T02:30", "Europe/Berlin", true)).toBe(second);
    expect([first, second].map((at) => isRepeat(at, "Europe/Berlin"))).toEqual([false, true]);
    expect(isRepeat(second + 45_000, "Europe/Berlin")).toBe(true);
    expect(isRepeat(second + 3_600_000, "Europe/Berlin")).toBe(false);
  });

  it.each([
    ["2027-03-28T02:30", "Europe/Berlin"],
    ["2027-03-14T02:00", "America/New_York"],
    ["2027-03-14T02:59:59", "America/New_York"],
    ["2011-12-30T12:00", "Pacific/Apia"],
  ])("refuses %s, which clocks in %s skip", (text, zone) => {
    expect(parseLocalTime(text, zone)).toEqual({
      refused: expect.stringContaining("skip this time"),
    });
  });

  it.each([
    ...["2027-02-30T20:00", "2027-02-29T20:00", "2027-04-31T00:00", "2027-13-01T20:00"],
    ...["2027-06-04T24:00", "2027-06-04T23:60", "2027-02-30T20:00Z", "2027-00-10T20:00"],
  ])("refuses %s, which no calendar has", (text) => {
    expect(parseLocalTime(text, "UTC")).toEqual({ refused: "There is no such day or time." });
  });

  it.each(["", "tomorrow", "2027-06-04", "4.6.2027 20:00", "2027-06-04T20:00+99:99"])(
    "refuses %j",
    (text) => {
      expect(parseLocalTime(text, "UTC")).toEqual({ refused: "Choose a day and a time." });
    },
  );

  it("undoes wallTime", () => {
    const at = utc("2027-06-04T18:00:00Z");
    expect(parseLocalTime(wallTime(at, "Asia/Tokyo"), "Asia/Tokyo")).toBe(at);
  });
});

it("says the zone with the time", () => {
  expect(formatTime(utc("2027-06-04T18:00:00Z"), "en-GB", "UTC")).toMatch(/18:00.*UTC/);
});

it("counts down to nothing and no further", () => {
  expect([900_000, 899_001, 1, 0, -5].map(formatRemaining)).toEqual([
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
