import { describe, expect, it } from "vitest";
import { backoff } from "./backoff.ts";

function clocked(capacity = 10) {
  let time = 0;
  const made = backoff({ capacity, now: () => time });
  return { ...made, pass: (ms: number) => void (time += ms) };
}

describe("backoff", () => {
  it("doubles the delay after each failure, up to a minute", () => {
    const { failed, isResting, pass } = clocked();
    for (const pause of [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]) {
      failed("a");
      pass(pause * 0.79);
      expect(isResting("a"), `${pause}`).toBe(true);
      pass(pause * 0.21);
      expect(isResting("a"), `${pause}`).toBe(false);
    }
  });

  it("starts again with the first delay after a success", () => {
    const { failed, succeeded, isResting, pass } = clocked();
    for (let i = 0; i < 5; i += 1) failed("a");
    succeeded("a");
    expect(isResting("a")).toBe(false);
    failed("a");
    pass(1_000);
    expect(isResting("a")).toBe(false);
  });

  it("keeps no more IDs than its capacity", () => {
    const { failed, isResting } = clocked(10);
    for (let i = 0; i < 1_000; i += 1) failed(`${i}`);
    const resting = Array.from({ length: 1_000 }, (_, i) => isResting(`${i}`)).filter(Boolean);
    expect(resting).toHaveLength(10);
  });
});
