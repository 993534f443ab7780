import { expect, it } from "vitest";
import { networkOf } from "#runtime/identity/client-network.ts";
import { describeDevice } from "./device.ts";
import { networkLabel } from "./network-label.ts";

const like = "Mozilla/5.0";
const webkit = "AppleWebKit/537.36 (KHTML, like Gecko)";

it.each([
  [`${like} (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0`, "Firefox on Linux"],
  [
    `${like} (Windows NT 10.0; Win64; x64) ${webkit} Chrome/140.0.0.0 Safari/537.36`,
    "Chrome on Windows",
  ],
  [
    `${like} (Windows NT 10.0; Win64; x64) ${webkit} Chrome/140.0 Safari/537.36 Edg/140.0`,
    "Edge on Windows",
  ],
  [
    `${like} (Macintosh; Intel Mac OS X 10_15_7) ${webkit} Chrome/140.0 Safari/537.36 OPR/120.0`,
    "Opera on macOS",
  ],
  [
    `${like} (Macintosh; Intel Mac OS X 10_15_7) ${webkit} Version/18.5 Safari/605.1.15`,
    "Safari on macOS",
  ],
  [
    `${like} (iPhone; CPU iPhone OS 18_5 like Mac OS X) ${webkit} Version/18.5 Mobile/15E148 Safari/604.1`,
    "Safari on iPhone",
  ],
  [
    `${like} (iPad; CPU OS 18_5 like Mac OS X) ${webkit} CriOS/140.0 Mobile/15E148 Safari/604.1`,
    "Chrome on iPad",
  ],
  [
    `${like} (Linux; Android 15; Pixel 9) ${webkit} Chrome/140.0.0.0 Mobile Safari/537.36`,
    "Chrome on Android",
  ],
  [
    `${like} (Linux; Android 15; SM-S931B) ${webkit} SamsungBrowser/28.0 Chrome/130.0 Mobile Safari/537.36`,
    "Samsung Internet on Android",
  ],
  [
    `${like} (X11; CrOS x86_64 14541.0.0) ${webkit} Chrome/140.0.0.0 Safari/537.36`,
    "Chrome on ChromeOS",
  ],
  [`${like} (Android 15; Mobile; rv:140.0) Gecko/140.0 Firefox/140.0`, "Firefox on Android"],
  ["curl/8.14.1", "curl"],
  ["grpc-node-js/1.14.7", "a program"],
  ["", ""],
  ["<script>alert(1)</script>", ""],
  ["x".repeat(100_000), ""],
])("%s", (userAgent, device) => {
  expect(describeDevice(userAgent)).toBe(device);
});

it.each([
  ["127.0.0.1", "this machine"],
  ["::1", "this machine"],
  ["::ffff:127.0.0.1", "this machine"],
  ["10.1.2.3", "a private network"],
  ["172.31.0.1", "a private network"],
  ["192.168.0.1", "a private network"],
  ["fd00::1", "a private network"],
  ["fe80::1", "a private network"],
  ["fe80::1%eth0", "a private network"],
  ["100.64.0.1", "a private network"],
  ["172.32.0.1", ""],
  ["8.8.8.8", ""],
  ["2001:db8::1", ""],
  ["direct", ""],
  ["", ""],
])("%s has the label %j", (address, label) => {
  expect(networkLabel(address)).toBe(label);
});

it.each([
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:0DB8:0001:0002::9", "2001:db8:1:2::/64"],
  ["2001:db8::1", "2001:db8:0:0::/64"],
  ["::1", "0:0:0:0::/64"],
  ["fe80::1%eth0", "fe80:0:0:0::/64"],
  ["2001:db8:1:2:3:4:192.0.2.1", "2001:db8:1:2::/64"],
  ["127.1", "127.1"],
  ["direct", "direct"],
])("%s counts as %s", (address, network) => {
  expect(networkOf(address)).toBe(network);
});
