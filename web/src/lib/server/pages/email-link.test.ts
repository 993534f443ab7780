import { isRedirect, type Cookies } from "@sveltejs/kit";
import { expect, it } from "vitest";
import { clearLinkToken, readLinkToken, moveTokenToCookie } from "./email-link.ts";

function cookieJar() {
  const values = new Map<string, string>();
  const options: unknown[] = [];
  const cookies = {
    get: (name: string) => values.get(name),
    set: (name: string, value: string, option: unknown) => {
      values.set(name, value);
      options.push(option);
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

it("moves the token from the address into a cookie for this page only", () => {
  const { cookies, options } = cookieJar();
  expect(open(cookies, "https://shop.example/reset-password?token=secret")).toBe("/reset-password");
  expect(readLinkToken(cookies)).toBe("secret");
  expect(options).toEqual([
    { path: "/reset-password", httpOnly: true, sameSite: "lax", secure: true, maxAge: 3600 },
  ]);
  expect(open(cookies, "https://shop.example/reset-password")).toBe(true);
});

it("detects a page without a link, and clears the token after its use", () => {
  const { cookies } = cookieJar();
  expect(open(cookies, "http://localhost/reset-password")).toBe(false);
  open(cookies, "http://localhost/reset-password?token=secret");
  clearLinkToken(cookies, "/reset-password");
  expect(open(cookies, "http://localhost/reset-password")).toBe(false);
});
