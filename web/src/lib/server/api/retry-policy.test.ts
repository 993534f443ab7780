import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { RetryInfoSchema } from "@ticketing/proto/web-google/rpc/error_details";
import { expect, it, vi } from "vitest";
import { withRetries } from "./retry-policy.ts";

const soon = () =>
  new ConnectError("not yet", Code.Unavailable, undefined, [
    {
      desc: RetryInfoSchema,
      value: create(RetryInfoSchema, { retryDelay: { seconds: 0n, nanos: 20_000_000 } }),
    },
  ]);

it("tries again until the other service has heard of it", async () => {
  const call = vi.fn().mockRejectedValueOnce(soon()).mockRejectedValueOnce(soon());
  call.mockResolvedValue("order");
  expect(await withRetries(call)).toBe("order");
  expect(call).toHaveBeenCalledTimes(3);
});

it("gives up when patience ends", async () => {
  const call = vi.fn().mockImplementation(() => Promise.reject(soon()));
  await expect(withRetries(call, 100)).rejects.toThrow("not yet");
  expect(call.mock.calls.length).toBeGreaterThan(2);
});

it("does not repeat what nobody asked to repeat", async () => {
  const call = vi.fn().mockRejectedValue(new ConnectError("down", Code.Unavailable));
  await expect(withRetries(call)).rejects.toThrow("down");
  expect(call).toHaveBeenCalledTimes(1);
});
