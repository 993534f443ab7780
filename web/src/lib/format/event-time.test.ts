import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { expect, it } from "vitest";
import { formatEventTime, townOf } from "./event-time.ts";

const eventTime = timestampFromMs(Date.parse("2027-06-06T00:00:00Z"));
const words = (timeZone: string, localZone: string) =>
  formatEventTime({ eventTime, timeZone }, { locale: "en-GB", timeZone: localZone });

it("says when an event begins as at its venue, and beside it as at the visitor's", () => {
  expect(words("America/New_York", "Europe/Berlin")).toEqual({
    there: "Sat, 5 Jun 2027, 20:00 in New York",
    here: "Sun, 6 Jun 2027, 02:00 CEST",
  });
});

it("says one time alone where both clocks show the same", () => {
  expect(words("Europe/Paris", "Europe/Berlin")).toEqual({
    there: "Sun, 6 Jun 2027, 02:00 in Paris",
    here: undefined,
  });
});

it("says UTC where the event's zone is not known, or is none", () => {
  for (const zone of ["", "Mars/Base"]) {
    expect(words(zone, "UTC")).toEqual({ there: "Sun, 6 Jun 2027, 00:00 UTC", here: undefined });
    expect(words(zone, "Asia/Tokyo")?.here).toMatch(/09:00/);
  }
});

it("says nothing where there is no date", () => {
  const preferences = { locale: "en", timeZone: "UTC" };
  expect(formatEventTime({ timeZone: "Europe/Paris" }, preferences)).toBeUndefined();
});

it("names a town only where a zone is named after one", () => {
  expect(["America/Argentina/Buenos_Aires", "Europe/Berlin"].map(townOf)).toEqual([
    "Buenos Aires",
    "Berlin",
  ]);
  expect(["UTC", "Etc/GMT+5", "US/Eastern"].map(townOf)).toEqual([undefined, undefined, undefined]);
});
