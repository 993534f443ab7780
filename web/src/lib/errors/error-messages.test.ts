import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema } from "@ticketing/proto/web-google/rpc/error_details";
import { expect, it } from "vitest";
import { describeError } from "./error-messages.ts";

const preferences = { locale: "en-GB", timeZone: "UTC" };
const refusal = (code: Code, reason: string, metadata: Record<string, string> = {}) =>
  new ConnectError("for programs", code, undefined, [
    {
      desc: ErrorInfoSchema,
      value: create(ErrorInfoSchema, { reason, domain: "ticketing", metadata }),
    },
  ]);

it("says until when a ticket is held", () => {
  const held = refusal(Code.FailedPrecondition, "TICKET_HELD", { until: "2027-06-04T20:05:30Z" });
  expect(describeError(held, preferences)).toMatchObject({
    status: 409,
    message: expect.stringContaining("until 20:05:30 UTC"),
  });
});

it("says the same without a time where none is given", () => {
  const { message } = describeError(refusal(Code.FailedPrecondition, "TICKET_HELD"), preferences);
  expect(message).toContain("It is held, and");
});

it("puts what is wrong beside the form's field, in words of ours", () => {
  const fieldViolations = [
    { field: "title", description: "does not match regex pattern" },
    { field: "event_time", description: "must be greater than now" },
    { field: "price.currency_code", description: "unknown currency" },
  ];
  const bad = new ConnectError("bad", Code.InvalidArgument, undefined, [
    { desc: BadRequestSchema, value: create(BadRequestSchema, { fieldViolations }) },
  ]);
  expect(describeError(bad, preferences)).toMatchObject({
    status: 400,
    fields: {
      title: "Say what the ticket is for, in at most 200 characters.",
      eventTime: "The event must lie in the future, at most ten years ahead.",
      currency: "unknown currency",
    },
  });
});

it("says nothing of what is inside when it does not know the error", () => {
  const { status, message } = describeError(new TypeError("fetch failed: 10.0.0.7"), preferences);
  expect(status).toBe(500);
  expect(message).not.toContain("10.0.0.7");
});

it("says at the field that a password is too common", () => {
  const fieldViolations = [
    { field: "new_password", description: "too common", reason: "PASSWORD_TOO_COMMON" },
  ];
  const bad = new ConnectError("bad", Code.InvalidArgument, undefined, [
    { desc: BadRequestSchema, value: create(BadRequestSchema, { fieldViolations }) },
  ]);
  expect(describeError(bad, preferences).fields).toEqual({
    newPassword: "This password is among the first that a thief would try. Choose another.",
  });
});

it.each([
  [Code.FailedPrecondition, "LINK_EXPIRED", 409, "Ask for a new one"],
  [Code.FailedPrecondition, "EMAIL_CONFIRMED", 409, "confirmed already"],
  [Code.FailedPrecondition, "OWN_ACCOUNT", 409, "yourself"],
  [Code.NotFound, "USER_NOT_FOUND", 404, "no such user"],
  [Code.PermissionDenied, "BANNED", 403, "may not use"],
  [Code.PermissionDenied, "NOT_ALLOWED", 403, "administrator"],
  [Code.Unavailable, "TOO_SLOW", 503, "took too long"],
])("has words of its own for %s %s", (code, reason, status, words) => {
  expect(describeError(refusal(code, reason), preferences)).toMatchObject({
    status,
    message: expect.stringContaining(words),
  });
});
