import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema, ErrorInfoSchema } from "@ticketing/proto/web-google/rpc/error_details";
import { expect, it } from "vitest";
import { describeError } from "./error-messages.ts";

const preferences = { locale: "en-GB", timeZone: "UTC" };
const errorWith = (code: Code, reason: string, metadata: Record<string, string> = {}) =>
  new ConnectError("for programs", code, undefined, [
    {
      desc: ErrorInfoSchema,
      value: create(ErrorInfoSchema, { reason, domain: "ticketing", metadata }),
    },
  ]);

it("says until when a ticket is reserved", () => {
  const held = errorWith(Code.FailedPrecondition, "TICKET_HELD", { until: "2027-06-04T20:05:30Z" });
  expect(describeError(held, preferences)).toMatchObject({
    status: 409,
    message: expect.stringContaining("until 20:05:30 UTC"),
  });
});

it("leaves the time out when the error gives none", () => {
  const { message } = describeError(errorWith(Code.FailedPrecondition, "TICKET_HELD"), preferences);
  expect(message).toContain("It is reserved, and");
});

it("puts a message of our own beside each wrong field", () => {
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
      title: "Enter an event name of at most 200 characters.",
      eventTime: "Choose a date in the future, at most ten years ahead.",
      currency: "unknown currency",
    },
  });
});

it("reveals no internals when it does not know the error", () => {
  const { status, message } = describeError(new TypeError("fetch failed: 10.0.0.7"), preferences);
  expect(status).toBe(500);
  expect(message).not.toContain("10.0.0.7");
});

it("says beside the field that a password is too common", () => {
  const fieldViolations = [
    { field: "new_password", description: "too common", reason: "PASSWORD_TOO_COMMON" },
  ];
  const bad = new ConnectError("bad", Code.InvalidArgument, undefined, [
    { desc: BadRequestSchema, value: create(BadRequestSchema, { fieldViolations }) },
  ]);
  expect(describeError(bad, preferences).fields).toEqual({
    newPassword: "This password is too common. Choose one that is harder to guess.",
  });
});

it.each([
  [Code.FailedPrecondition, "LINK_EXPIRED", 409, "Request a new one"],
  [Code.FailedPrecondition, "EMAIL_CONFIRMED", 409, "already confirmed"],
  [Code.FailedPrecondition, "OWN_ACCOUNT", 409, "yourself"],
  [Code.NotFound, "USER_NOT_FOUND", 404, "no such user"],
  [Code.PermissionDenied, "BANNED", 403, "can’t use"],
  [Code.PermissionDenied, "NOT_ALLOWED", 403, "administrator"],
  [Code.Unavailable, "TOO_SLOW", 503, "took too long"],
])("has a message of its own for %s %s", (code, reason, status, text) => {
  expect(describeError(errorWith(code, reason), preferences)).toMatchObject({
    status,
    message: expect.stringContaining(text),
  });
});
