import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, it } from "vitest";
import { formatEventTime, townOf } from "./event-time.ts";

const eventTime = timestampFromMs(Date.parse("2027-06-06T00:00:00Z"));
const format = (timeZone: string, localZone: string) =>
  formatEventTime({ eventTime, timeZone }, { locale: "en-GB", timeZone: localZone });

it("formats an event in the time at the venue and in the user's own", () => {
  expect(format("America/New_York", "Europe/Berlin")).toEqual({
    atVenue: "Sat, 5 Jun 2027, 20:00 in New York",
    local: "Sun, 6 Jun 2027, 02:00 CEST",
  });
});

it("formats one time when both clocks show the same", () => {
  expect(format("Europe/Paris", "Europe/Berlin")).toEqual({
    atVenue: "Sun, 6 Jun 2027, 02:00 in Paris",
    local: undefined,
  });
});

it("uses UTC when the event's time zone is missing or unknown", () => {
  for (const zone of ["", "Mars/Base"]) {
    expect(format(zone, "UTC")).toEqual({
      atVenue: "Sun, 6 Jun 2027, 00:00 UTC",
      local: undefined,
    });
    expect(format(zone, "Asia/Tokyo")?.local).toMatch(/09:00/);
  }
});

it("formats nothing without a date", () => {
  const preferences = { locale: "en", timeZone: "UTC" };
  expect(formatEventTime({ timeZone: "Europe/Paris" }, preferences)).toBeUndefined();
});

it("names a town only if the time zone is named after one", () => {
  expect(["America/Argentina/Buenos_Aires", "Europe/Berlin"].map(townOf)).toEqual([
    "Buenos Aires",
    "Berlin",
  ]);
  expect(["UTC", "Etc/GMT+5", "US/Eastern"].map(townOf)).toEqual([undefined, undefined, undefined]);
});
