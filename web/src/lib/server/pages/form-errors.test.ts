import { Code, ConnectError } from "@connectrpc/connect";
import { isHttpError, isRedirect } from "@sveltejs/kit";
import { describe, expect, it } from "vitest";
import {
  requireAdministrator,
  failForm,
  toErrorPage,
  toFirstPageOrError,
  requireUser,
} from "./form-errors.ts";
import { readForm } from "./unsent-form.ts";

type Event = Parameters<typeof readForm>[0];

const event = (path: string, locals: object = {}, fields?: Record<string, string>): Event => {
  const url = new URL(path, "http://localhost");
  const body = fields && new URLSearchParams(fields);
  const request = new Request(url, body ? { method: "POST", body } : {});
  return { url, request, locals: { locale: "en", timeZone: "UTC", ...locals } } as never;
};

/** Where a page ends: the address it leads to, or the status and body of its error page. */
function endOf(run: () => unknown): unknown {
  try {
    return run();
  } catch (thrown) {
    if (isRedirect(thrown)) return thrown.location;
    if (isHttpError(thrown)) return { ...thrown.body, status: thrown.status };
    throw thrown;
  }
}

const wrongField = new ConnectError("no such page", Code.InvalidArgument);
const away = new ConnectError("away", Code.Unavailable);
const stranger = new ConnectError("who?", Code.Unauthenticated);

describe("a list's address", () => {
  it.each([
    ["/orders?page=abc", "/orders"],
    ["/orders?filter=past&page=abc", "/orders?filter=past"],
    ["/?q=a%26b&page=", "/?q=a%26b"],
  ])("%s, whose page is none, leads to %s", (path, expected) => {
    expect(endOf(() => toFirstPageOrError(event(path))(wrongField))).toBe(expected);
  });

  it("without a page, or for another reason, is refused as ever", () => {
    expect(endOf(() => toFirstPageOrError(event("/orders"))(wrongField))).toMatchObject({
      status: 404,
    });
    expect(endOf(() => toFirstPageOrError(event("/orders?page=x"))(away))).toMatchObject({
      status: 503,
    });
  });
});

describe("what was typed", () => {
  const fields = { title: "Typed before", code: "a-code", password: "secret", newPassword: "new" };
  const typed = {
    action: "/tickets/new?/save",
    fields: [
      ["title", "Typed before"],
      ["code", "a-code"],
    ],
  };

  async function sent(locals: object = {}) {
    const post = event("/tickets/new?/save", locals, fields);
    await readForm(post);
    return post;
  }

  it("waits in the answer for whoever has to sign in first, without passwords", async () => {
    const post = await sent();
    expect(endOf(() => requireUser(post))).toMatchObject({ status: 401, typed });
    expect(endOf(() => requireAdministrator(post))).toMatchObject({ status: 401, typed });
    expect(endOf(() => failForm(post, stranger, {}))).toMatchObject({ status: 401, typed });
  });

  it("waits where nobody knows whether the session has ended", async () => {
    const post = await sent({ isUncertain: true });
    expect(endOf(() => requireUser(post))).toMatchObject({ status: 503, typed });
  });

  it("waits where the page cannot be shown, for whatever reason", async () => {
    const post = await sent({ user: { id: "1" } });
    expect(endOf(() => toErrorPage(post)(away))).toMatchObject({ status: 503, typed });
    expect(endOf(() => requireAdministrator(post))).toMatchObject({ status: 404, typed });
  });
});

it("leads strangers to the sign-in, and back to where they were, or are to go on", () => {
  expect(endOf(() => requireUser(event("/orders?filter=past")))).toBe(
    `/sign-in?next=${encodeURIComponent("/orders?filter=past")}`,
  );
  const press = event("/tickets/1?/buy", {}, {});
  expect(endOf(() => requireUser(press, "/tickets/1?buy"))).toBe(
    `/sign-in?next=${encodeURIComponent("/tickets/1?buy")}`,
  );
  expect(endOf(() => failForm(press, stranger, {}, "/tickets/1?buy"))).toBe(
    `/sign-in?next=${encodeURIComponent("/tickets/1?buy")}`,
  );
});
