import type { RequestEvent } from "@sveltejs/kit";
import type { Handle, HandleServerError, ServerInit } from "@sveltejs/kit/hooks";
import { EDGE_URL, SECURE_COOKIES, STRIPE_PUBLISHABLE_KEY } from "$app/env/private";
import { proxyTrustError } from "#lib/server/api/proxy-trust.ts";
import { createApi } from "#lib/server/api/api.ts";
import { allowStripe, setSecurityHeaders } from "#lib/server/pages/security-headers.ts";
import { SessionCookies } from "#lib/server/session/session-cookies.ts";
import { authenticate } from "#lib/server/session/request-session.ts";
import { isTimeZone, preferredLocale } from "#lib/format/time.ts";

/** What an address may hold that nobody else may see: of a mail's link, and of the way back from a bank. */
const SECRETS = ["token", "payment_intent_client_secret"];

/** A server whose word the edge does not take ends; the first pages do not wait for the answer. */
export const init: ServerInit = () => {
  void proxyTrustError(EDGE_URL).then((why) => {
    if (why === undefined) return;
    console.error(`[web] ${why}`);
    process.exit(78); // EX_CONFIG
  });
};

/** The browser's cookies become `locals`; what the edge sets on the way goes back to the browser. */
export const handle: Handle = async ({ event, resolve }) => {
  if (event.route.id === "/healthz") return resolve(event);
  if (event.request.method === "POST" && !isForm(event.request))
    return new Response("This page takes a form.", {
      status: 415,
      headers: { "cache-control": "no-store" },
    });

  const sent = (name: string) => event.cookies.get(name, { decode: (raw) => raw });
  const session = new SessionCookies(sent, SECURE_COOKIES);
  const { request } = event;
  const api = createApi({
    edgeUrl: EDGE_URL,
    session,
    address: clientAddress(event),
    userAgent: request.headers.get("user-agent"),
    traceparent: request.headers.get("traceparent"),
  });
  const timeZone = event.cookies.get("time-zone") ?? "";
  Object.assign(event.locals, {
    api,
    user: session.any ? await authenticate(api, session) : undefined,
    forget: () => session.forget(),
    isUncertain: session.isUncertain,
    locale: preferredLocale(request.headers.get("accept-language")),
    timeZone: isTimeZone(timeZone) ? timeZone : "UTC",
  });

  const response = await resolve(event);
  for (const line of session.changes) response.headers.append("set-cookie", line);
  setSecurityHeaders(response.headers, {
    secure: event.url.protocol === "https:",
    secretAddress: SECRETS.some((name) => event.url.searchParams.has(name)),
  });
  const policy = response.headers.get("content-security-policy");
  if (policy && STRIPE_PUBLISHABLE_KEY)
    response.headers.set("content-security-policy", allowStripe(policy));
  return response;
};

/** What nobody expected is told to the log alone; what a page says on purpose stays as it is. */
export const handleError: HandleServerError = ({ kind, error, event }) => {
  if (kind === "app") return;
  if (kind === "framework")
    return error.status === 404 ? { message: "There is no such page." } : undefined;
  console.error(`[web] ${event.request.method} ${event.url.pathname}`, error);
  const { typed } = event.locals;
  return { message: "Something went wrong on our side.", ...(typed && { typed }) };
};

/** Every form of ours is sent this way, with JavaScript and without. */
const isForm = ({ headers }: Request): boolean =>
  /^application\/x-www-form-urlencoded\s*(;|$)/i.test(headers.get("content-type") ?? "");

/** Absent where the request did not come through the edge, as a probe's. */
function clientAddress(event: RequestEvent): string | undefined {
  try {
    return event.getClientAddress();
  } catch {
    return undefined;
  }
}
