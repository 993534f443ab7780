import { isRedirect, type Cookies } from "@sveltejs/kit";
import { expect, it } from "vitest";
import { clearLinkToken, readLinkToken, moveTokenToCookie } from "./email-link.ts";

function jar() {
  const values = new Map<string, string>();
  const options: unknown[] = [];
  const cookies = {
    get: (name: string) => values.get(name),
    set: (name: string, value: string, how: unknown) => {
      values.set(name, value);
      options.push(how);
    },
    delete: (name: string) => values.delete(name),
  } as unknown as Cookies;
  return { cookies, options };
}

const open = (cookies: Cookies, address: string) => {
  try {
    return moveTokenToCookie({ url: new URL(address), cookies }, "/reset-password");
  } catch (thrown) {
    if (isRedirect(thrown)) return thrown.location;
    throw thrown;
  }
};

it("moves the token from the address into a cookie that only this page is sent", () => {
  const { cookies, options } = jar();
  expect(open(cookies, "https://shop.example/reset-password?token=secret")).toBe("/reset-password");
  expect(readLinkToken(cookies)).toBe("secret");
  expect(options).toEqual([
    { path: "/reset-password", httpOnly: true, sameSite: "lax", secure: true, maxAge: 3600 },
  ]);
  expect(open(cookies, "https://shop.example/reset-password")).toBe(true);
});

it("knows a page without a link, and forgets one that was used", () => {
  const { cookies } = jar();
  expect(open(cookies, "http://localhost/reset-password")).toBe(false);
  open(cookies, "http://localhost/reset-password?token=secret");
  clearLinkToken(cookies, "/reset-password");
  expect(open(cookies, "http://localhost/reset-password")).toBe(false);
});
