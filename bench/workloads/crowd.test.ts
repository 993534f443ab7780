import { expect, test } from "vitest";
import { crowdOutcome } from "./crowd.ts";

const attempt = (failure: string | undefined, latencyMs: number) => ({
  startMs: 0,
  latencyMs,
  failure,
});
const refusals = [attempt("HTTP 400", 20), attempt("HTTP 400", 30)];

test("the latencies of a crowd are those of the refusals", () => {
  const { latenciesMs, failures } = crowdOutcome([attempt(undefined, 90), ...refusals]);
  expect(latenciesMs).toEqual([20, 30]);
  expect(failures).toEqual({});
});

test("a crowd without exactly one order is a failure", () => {
  expect(crowdOutcome(refusals).failures).toEqual({ "0 orders": 1 });
  const two = [attempt(undefined, 90), attempt(undefined, 91), ...refusals];
  expect(crowdOutcome(two).failures).toEqual({ "2 orders": 1 });
});

test("an answer that is neither an order nor a refusal is a failure", () => {
  const { failures } = crowdOutcome([attempt(undefined, 90), attempt("HTTP 503", 5)]);
  expect(failures).toEqual({ "HTTP 503": 1 });
});
