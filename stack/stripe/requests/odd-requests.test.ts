import { connect } from "node:net";
import { expect, it, onTestFinished, vi } from "vitest";
import { Journal } from "../store/journal.ts";
import { eventually, local, intentParams } from "../testing.ts";

/** The whole response to a request with this target and an invalid Host. */
const ask = (base: string, target: string): Promise<string> =>
  new Promise((resolve) => {
    let answer = "";
    const head = `GET ${target} HTTP/1.1\r\nHost: a:99999\r\nConnection: close\r\n\r\n`;
    const socket = connect(Number(new URL(base).port), "127.0.0.1", () => socket.end(head));
    socket.on("data", (chunk) => (answer += chunk.toString()));
    socket.on("error", () => undefined);
    socket.once("close", () => resolve(answer));
  });

it.each(["//[", "//a:99999/", "http://", "http://%/"])(
  "responds with 400 if the address of a request is invalid: %s",
  async (target) => {
    const { base, stripe } = await local();
    const answer = await ask(base, target);
    expect(answer).toMatch(/^HTTP\/1\.1 400 /);
    expect(answer).toContain('"invalid_request_error"');
    expect((await stripe.paymentIntents.create(intentParams)).status).toBe(
      "requires_payment_method",
    );
  },
);

it("keeps running if the periodic expiry fails", async () => {
  const { stripe } = await local();
  const told = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const all = vi.spyOn(Journal.prototype, "all").mockImplementation(() => {
    throw new Error("the disk is full");
  });
  onTestFinished(() => vi.restoreAllMocks() as never);
  await eventually(() => expect(told).toHaveBeenCalledTimes(2));
  all.mockRestore();
  expect((await stripe.paymentIntents.create(intentParams)).status).toBe("requires_payment_method");
});
