import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "@ticketing/proto/web-google/rpc/error_details";
import { expect, it, vi } from "vitest";
import { withRetries } from "./retry-policy.ts";

const retryable = () =>
  new ConnectError("not yet", Code.Unavailable, undefined, [
    {
      desc: RetryInfoSchema,
      value: create(RetryInfoSchema, { retryDelay: { seconds: 0n, nanos: 20_000_000 } }),
    },
  ]);

it("retries until the other service has received the event", async () => {
  const call = vi.fn().mockRejectedValueOnce(retryable()).mockRejectedValueOnce(retryable());
  call.mockResolvedValue("order");
  expect(await withRetries(call)).toBe("order");
  expect(call).toHaveBeenCalledTimes(3);
});

it("fails when the timeout has passed", async () => {
  const call = vi.fn().mockImplementation(() => Promise.reject(retryable()));
  await expect(withRetries(call, 100)).rejects.toThrow("not yet");
  expect(call.mock.calls.length).toBeGreaterThan(2);
});

it("does not retry an error without RetryInfo", async () => {
  const call = vi.fn().mockRejectedValue(new ConnectError("down", Code.Unavailable));
  await expect(withRetries(call)).rejects.toThrow("down");
  expect(call).toHaveBeenCalledTimes(1);
});
