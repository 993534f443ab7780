import { describe, expect, it } from "vitest";
import { isRepeatedTime, parseLocalTime } from "./local-time.ts";
import { localTime } from "./time.ts";

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

  it("parses a time that occurs twice as the first, or as the second if requested", () => {
    const [first, second] = [utc("2026-10-25T00:30:00Z"), utc("2026-10-25T01:30:00Z")];
    expect(parseLocalTime("2026-10-25T02:30", "Europe/Berlin")).toBe(first);
    expect(parseLocalTime("2026-10-25T02:30", "Europe/Berlin", true)).toBe(second);
    expect([first, second].map((at) => isRepeatedTime(at, "Europe/Berlin"))).toEqual([false, true]);
    expect(isRepeatedTime(second + 45_000, "Europe/Berlin")).toBe(true);
    expect(isRepeatedTime(second + 3_600_000, "Europe/Berlin")).toBe(false);
  });

  it.each([
    ["2027-03-28T02:30", "Europe/Berlin"],
    ["2027-03-14T02:00", "America/New_York"],
    ["2027-03-14T02:59:59", "America/New_York"],
    ["2011-12-30T12:00", "Pacific/Apia"],
  ])("rejects %s, which clocks in %s skip", (text, zone) => {
    expect(parseLocalTime(text, zone)).toEqual({
      error: expect.stringContaining("skip this time"),
    });
  });

  it.each([
    ...["2027-02-30T20:00", "2027-02-29T20:00", "2027-04-31T00:00", "2027-13-01T20:00"],
    ...["2027-06-04T24:00", "2027-06-04T23:60", "2027-02-30T20:00Z", "2027-00-10T20:00"],
  ])("rejects %s, which does not exist", (text) => {
    expect(parseLocalTime(text, "UTC")).toEqual({ error: "This date or time doesn’t exist." });
  });

  it.each(["", "tomorrow", "2027-06-04", "4.6.2027 20:00", "2027-06-04T20:00+99:99"])(
    "rejects %j",
    (text) => {
      expect(parseLocalTime(text, "UTC")).toEqual({ error: "Choose a date and a time." });
    },
  );

  it("is the inverse of localTime", () => {
    const at = utc("2027-06-04T18:00:00Z");
    expect(parseLocalTime(localTime(at, "Asia/Tokyo"), "Asia/Tokyo")).toBe(at);
  });
});
