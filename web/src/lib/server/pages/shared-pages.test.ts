import { expect, test } from "vitest";
import { MAX_AGE_MS, sharedPages } from "./shared-pages.ts";

/** Pages whose text is the number of times that one was rendered. */
function fixture(headers: Record<string, string> = {}, status = 200) {
  let time = 1_000;
  let rendered = 0;
  const pages = sharedPages(() => time);
  const render = async (): Promise<Response> => {
    rendered += 1;
    return new Response(`<script nonce="n${rendered}=="></script>${rendered}`, {
      status,
      headers: {
        "content-security-policy": `script-src 'self' 'nonce-n${rendered}=='`,
        ...headers,
      },
    });
  };
  return {
    get: async (key = "/") => {
      const response = await pages(key, render);
      return { response, text: await response.text() };
    },
    fail: (key = "/") => pages(key, () => Promise.reject(new Error("no"))),
    wait: (ms: number) => void (time += ms),
    rendered: () => rendered,
  };
}

test("visitors share a page for a second, and no longer", async () => {
  const { get, wait, rendered } = fixture();
  await Promise.all([get(), get(), get()]);
  wait(MAX_AGE_MS - 1);
  expect((await get()).text).toMatch(/1$/);
  expect(rendered()).toBe(1);
  wait(2);
  expect((await get()).text).toMatch(/2$/);
});

test("each visitor has a nonce of their own, the same in the policy and in the page", async () => {
  const { get } = fixture();
  const nonces = new Set<string>();
  for (let i = 0; i < 3; i += 1) {
    const { response, text } = await get();
    const [, nonce = ""] = /nonce="([^"]+)"/.exec(text) ?? [];
    expect(response.headers.get("content-security-policy")).toBe(
      `script-src 'self' 'nonce-${nonce}'`,
    );
    expect(nonce).not.toBe("n1==");
    nonces.add(nonce);
  }
  expect(nonces.size).toBe(3);
});

test("pages of different keys are not mixed up", async () => {
  const { get } = fixture();
  expect((await get("/")).text).toMatch(/1$/);
  expect((await get("/other")).text).toMatch(/2$/);
});

test.each([
  ["sets a cookie", fixture({ "set-cookie": "a=1" })],
  ["is an error", fixture({}, 503)],
])("a response that %s is for one visitor only", async (_, { get, rendered }) => {
  const [first, second] = await Promise.all([get(), get()]);
  expect(first.text).not.toBe(second.text);
  expect(rendered()).toBe(2);
});

test("a failure is passed on and not kept", async () => {
  const { get, fail } = fixture();
  await expect(fail()).rejects.toThrow("no");
  expect((await get()).text).toMatch(/1$/);
});
