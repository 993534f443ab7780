import { expect, it } from "vitest";
import { httpUrl } from "./http-url.ts";

it.each(["https://bank.example/3ds?a=b", "http://127.0.0.1:12111/challenge/pi_1"])(
  "accepts %s",
  (address) => {
    expect(httpUrl(address)).toBe(address);
  },
);

it.each(["javascript:alert(1)", "data:text/html,x", "/orders", "", undefined])(
  "rejects %s",
  (address) => {
    expect(httpUrl(address)).toBe("");
  },
);
