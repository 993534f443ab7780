import { expect, it } from "vitest";
import { flowPage } from "./flow-page.ts";

it("docs/flow.md says what the catalogue and the code say; otherwise: npm run generate", () => {
  const { current, expected } = flowPage();
  expect(current).toBe(expected);
});
