import { Code, ConnectError } from "@connectrpc/connect";
import { isHttpError, isRedirect } from "@sveltejs/kit";
import { describe, expect, it } from "vitest";
import { requireAdministrator, requireUser } from "./access.ts";
import { failForm } from "./form-errors.ts";
import { toErrorPage, toFirstPageOrError } from "./load-errors.ts";
import { readForm } from "./unsent-form.ts";

type Event = Parameters<typeof readForm>[0];

const event = (path: string, locals: object = {}, fields?: Record<string, string>): Event => {
  const url = new URL(path, "http://localhost");
  const body = fields && new URLSearchParams(fields);
  const request = new Request(url, body ? { method: "POST", body } : {});
  return { url, request, locals: { locale: "en", timeZone: "UTC", ...locals } } as never;
};

/** How a request ends: the address that it redirects to, or the status and body of its error page. */
function outcomeOf(run: () => unknown): unknown {
  try {
    return run();
  } catch (thrown) {
    if (isRedirect(thrown)) return thrown.location;
    if (isHttpError(thrown)) return { ...thrown.body, status: thrown.status };
    throw thrown;
  }
}

const invalidArgument = new ConnectError("no such page", Code.InvalidArgument);
const unavailable = new ConnectError("away", Code.Unavailable);
const unauthenticated = new ConnectError("who?", Code.Unauthenticated);

describe("a list's address", () => {
  it.each([
    ["/orders?page=abc", "/orders"],
    ["/orders?filter=past&page=abc", "/orders?filter=past"],
    ["/?q=a%26b&page=", "/?q=a%26b"],
  ])("%s, whose page token is invalid, redirects to %s", (path, expected) => {
    expect(outcomeOf(() => toFirstPageOrError(event(path))(invalidArgument))).toBe(expected);
  });

  it("shows the error page without a page token, and for every other error", () => {
    const first = toFirstPageOrError(event("/orders"));
    expect(outcomeOf(() => first(invalidArgument))).toMatchObject({ status: 404 });
    const second = toFirstPageOrError(event("/orders?page=x"));
    expect(outcomeOf(() => second(unavailable))).toMatchObject({ status: 503 });
  });
});

describe("a form that cannot be accepted", () => {
  const fields = { title: "Typed before", code: "a-code", password: "secret", newPassword: "new" };
  const unsentForm = {
    action: "/tickets/new?/save",
    fields: [
      ["title", "Typed before"],
      ["code", "a-code"],
    ],
  };

  async function submitted(locals: object = {}) {
    const post = event("/tickets/new?/save", locals, fields);
    await readForm(post);
    return post;
  }

  it("is kept in the error page of a signed-out user, without passwords", async () => {
    const post = await submitted();
    const expected = { status: 401, unsentForm };
    expect(outcomeOf(() => requireUser(post))).toMatchObject(expected);
    expect(outcomeOf(() => requireAdministrator(post))).toMatchObject(expected);
    expect(outcomeOf(() => failForm(post, unauthenticated, {}))).toMatchObject(expected);
  });

  it("is kept when it is unknown whether the session has ended", async () => {
    const post = await submitted({ isSessionUncertain: true });
    expect(outcomeOf(() => requireUser(post))).toMatchObject({ status: 503, unsentForm });
  });

  it("is kept when the page cannot be shown", async () => {
    const post = await submitted({ user: { id: "1" } });
    expect(outcomeOf(() => toErrorPage(post)(unavailable))).toMatchObject({
      status: 503,
      unsentForm,
    });
    expect(outcomeOf(() => requireAdministrator(post))).toMatchObject({ status: 404, unsentForm });
  });
});

it("sends signed-out users to the sign-in page, and then back to the page that they came for", () => {
  expect(outcomeOf(() => requireUser(event("/orders?filter=past")))).toBe(
    `/sign-in?next=${encodeURIComponent("/orders?filter=past")}`,
  );
  const press = event("/tickets/1?/buy", {}, {});
  expect(outcomeOf(() => requireUser(press, "/tickets/1?buy"))).toBe(
    `/sign-in?next=${encodeURIComponent("/tickets/1?buy")}`,
  );
  expect(outcomeOf(() => failForm(press, unauthenticated, {}, "/tickets/1?buy"))).toBe(
    `/sign-in?next=${encodeURIComponent("/tickets/1?buy")}`,
  );
});
