import { randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";

/** How long a visitor may still see the page that another visitor got, in milliseconds. */
export const MAX_AGE_MS = 1_000;
const MAX_PAGES = 200;
const NONCE_BYTES = 16; // As in SvelteKit.

/** A rendered page. The nonce of its Content-Security-Policy is between the parts. */
interface Page {
  headers: readonly (readonly [name: string, parts: readonly string[]])[];
  body: readonly string[];
}

const nonceIn = (headers: Headers): string | undefined =>
  /'nonce-([^']+)'/.exec(headers.get("content-security-policy") ?? "")?.[1];

/** The page of a response, or undefined if the response is for one visitor only. */
async function readPage(response: Response): Promise<Page | undefined> {
  const { status, headers } = response;
  const nonce = nonceIn(headers);
  if (status !== 200 || nonce === undefined || headers.has("set-cookie")) return undefined;
  return {
    headers: [...headers].map(([name, value]) => [name, value.split(nonce)] as const),
    body: (await response.text()).split(nonce),
  };
}

/** The page for one more visitor, with a nonce of its own. */
function toResponse({ headers, body }: Page): Response {
  const nonce = randomBytes(NONCE_BYTES).toString("base64");
  return new Response(body.join(nonce), {
    headers: headers.map(([name, parts]): [string, string] => [name, parts.join(nonce)]),
  });
}

/**
 * Pages that are the same for all visitors who are not signed in. Each is rendered once in a while, also for
 * many visitors at once. Returns a function that answers with the page of a key, and renders it if needed.
 */
export function sharedPages(now: () => number = () => performance.now()) {
  const pages = new LRUCache<string, Promise<Page | undefined>>({
    max: MAX_PAGES,
    ttl: MAX_AGE_MS,
    ttlResolution: 0,
    perf: { now },
  });

  return async (key: string, render: () => Promise<Response>): Promise<Response> => {
    const known = pages.get(key);
    const shared = known && (await known.catch(() => undefined));
    if (shared) return toResponse(shared);
    // The age counts from before the page's data are read.
    const rendering = render();
    const reading = rendering.then(readPage);
    pages.set(key, reading);
    const page = await reading.catch(() => undefined);
    if (page) return toResponse(page);
    if (pages.peek(key) === reading) pages.delete(key);
    return rendering;
  };
}
