import { expect, it } from "vitest";
import { preferredLocale } from "./locale.ts";

it("chooses the first supported language", () => {
  expect(preferredLocale("de-CH,de;q=0.9,en;q=0.8")).toBe("de-CH");
  expect(preferredLocale("*, !!, fr;q=0.5")).toBe("fr");
  expect(preferredLocale(null)).toBe("en");
});
