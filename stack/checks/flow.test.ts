import { expect, it } from "vitest";
import { flowPage } from "./flow-page.ts";

it("docs/flow.md agrees with the catalogue and the code; if it does not: npm run generate", () => {
  const { current, expected } = flowPage();
  expect(current).toBe(expected);
});
