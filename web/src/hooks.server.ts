import type { RequestEvent } from "@sveltejs/kit";
import type { Handle, HandleServerError, ServerInit } from "@sveltejs/kit/hooks";
import { EDGE_URL, SECURE_COOKIES, STRIPE_PUBLISHABLE_KEY } from "$app/env/private";
import { preferredLocale } from "#lib/format/locale.ts";
import { isTimeZone } from "#lib/format/time.ts";
import { createApi } from "#lib/server/api/api.ts";
import { proxyTrustError } from "#lib/server/api/proxy-trust.ts";
import { allowStripe, setSecurityHeaders } from "#lib/server/pages/security-headers.ts";
import { sharedPages } from "#lib/server/pages/shared-pages.ts";
import { authenticate } from "#lib/server/session/request-session.ts";
import { SessionCookies } from "#lib/server/session/session-cookies.ts";

/** Parameters that make an address secret: of links in emails, and of the return from a bank. */
const SECRET_PARAMETERS = ["token", "payment_intent_client_secret"];
/** EX_CONFIG of sysexits.h. */
const EXIT_CONFIG = 78;

/** Ends a server that the edge does not trust. The first requests do not wait for this check. */
export const init: ServerInit = () => {
  void proxyTrustError(EDGE_URL).then((error) => {
    if (error === undefined) return;
    console.error(`[web] ${error}`);
    process.exit(EXIT_CONFIG);
  });
};

/** Authenticates the request and fills `locals`; the edge's cookies go back to the browser. */
export const handle: Handle = async ({ event, resolve }) => {
  if (event.route.id === "/healthz") return resolve(event);
  if (event.request.method === "POST" && !isForm(event.request)) return unsupportedMediaType();

  const getCookie = (name: string) => event.cookies.get(name, { decode: (raw) => raw });
  const session = new SessionCookies(getCookie, SECURE_COOKIES);
  const respond = async (): Promise<Response> => {
    await setLocals(event, session);
    const response = await resolve(event);
    for (const line of session.setCookieLines) response.headers.append("set-cookie", line);
    setHeaders(event, response.headers);
    return response;
  };
  return isForEveryone(event, session) ? shared(sharedKey(event), respond) : respond();
};

const shared = sharedPages();

/** The pages that show the same to all visitors who are not signed in. */
const PUBLIC_PAGES = new Set<string | null>(["/", "/tickets/[id]"]);

const isForEveryone = (event: RequestEvent, session: SessionCookies): boolean =>
  event.request.method === "GET" &&
  PUBLIC_PAGES.has(event.route.id) &&
  !event.isDataRequest &&
  !session.isPresent;

/** Everything about a request that such a page depends on. */
function sharedKey(event: RequestEvent): string {
  const { locale, timeZone } = preferencesOf(event);
  return [event.url.href, locale, timeZone].join(" ");
}

/** Logs unexpected errors without showing them; errors that a page shows on purpose stay as they are. */
export const handleError: HandleServerError = ({ kind, error, event }) => {
  if (kind === "app") return;
  if (kind === "framework")
    return error.status === 404 ? { message: "This page doesn’t exist." } : undefined;
  console.error(`[web] ${event.request.method} ${event.url.pathname}`, error);
  const { unsentForm } = event.locals;
  return { message: "Something went wrong on our side.", ...(unsentForm && { unsentForm }) };
};

/** Whether the body is a form. Our pages send nothing else, with JavaScript and without. */
const isForm = ({ headers }: Request): boolean =>
  /^application\/x-www-form-urlencoded\s*(;|$)/i.test(headers.get("content-type") ?? "");

const unsupportedMediaType = () =>
  new Response("This page accepts forms only.", {
    status: 415,
    headers: { "cache-control": "no-store" },
  });

async function setLocals(event: RequestEvent, session: SessionCookies): Promise<void> {
  const { headers } = event.request;
  const api = createApi({
    edgeUrl: EDGE_URL,
    session,
    clientAddress: clientAddress(event),
    userAgent: headers.get("user-agent"),
    traceparent: headers.get("traceparent"),
  });
  Object.assign(event.locals, {
    api,
    user: session.isPresent ? await authenticate(api, session) : undefined,
    clearSession: () => session.clear(),
    isSessionUncertain: session.isUncertain,
    ...preferencesOf(event),
  });
}

function preferencesOf({ cookies, request }: RequestEvent) {
  const timeZone = cookies.get("time-zone") ?? "";
  return {
    locale: preferredLocale(request.headers.get("accept-language")),
    timeZone: isTimeZone(timeZone) ? timeZone : "UTC",
  };
}

function setHeaders({ url }: RequestEvent, headers: Headers): void {
  setSecurityHeaders(headers, {
    secure: url.protocol === "https:",
    secretAddress: SECRET_PARAMETERS.some((name) => url.searchParams.has(name)),
  });
  const policy = headers.get("content-security-policy");
  if (policy && STRIPE_PUBLISHABLE_KEY) headers.set("content-security-policy", allowStripe(policy));
}

/** The browser's address; undefined for requests that do not come through the edge, such as probes. */
function clientAddress(event: RequestEvent): string | undefined {
  try {
    return event.getClientAddress();
  } catch {
    return undefined;
  }
}
