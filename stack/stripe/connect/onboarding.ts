import { setAccountStatus } from "./accounts.ts";
import type { AccountLink } from "../objects/connect.ts";
import { invalid } from "../objects/errors.ts";
import { newId, now } from "../objects/objects.ts";
import { layout, type Shown } from "../requests/pages.ts";
import type { Params } from "../requests/params.ts";
import { unasked, type Backend, type Unit } from "../store/unit.ts";

const LINK_LIFETIME_SECONDS = 5 * 60;

/** The parameters of a link. */
export const linkParams = {
  account: "string!",
  refresh_url: "url",
  return_url: "url",
  type: ["account_onboarding"],
} as const;

/** Creates a single-use link to the onboarding of an account. */
export function createLink(unit: Unit, params: Params<typeof linkParams>, base: string) {
  const { refresh_url, return_url, type } = params;
  if (!type || !refresh_url || !return_url) {
    const param = type ? (refresh_url ? "return_url" : "refresh_url") : "type";
    throw invalid(`Missing required param: ${param}.`, { code: "parameter_missing", param });
  }
  const { id, object, created, expires_at } = unit.put<AccountLink>({
    id: newId("link"),
    object: "account_link",
    account: unit.find("account", params.account, "account").id,
    created: now(),
    expires_at: now() + LINK_LIFETIME_SECONDS,
    opened: false,
    refresh_url,
    return_url,
    session: null,
  });
  return { object, created, expires_at, url: `${base}/onboarding/${id}` };
}

/**
 * The onboarding page: GET shows it, POST submits it. A link that has expired or was used redirects to
 * the platform's refresh URL.
 */
export function onboarding(backend: Backend, method: string, url: URL, body: string): Shown {
  const link = backend.journal.get("account_link", url.pathname.slice("/onboarding/".length));
  if (!link) return { status: 404, html: layout("Onboarding", "<p>No such link.</p>") };
  return method === "POST" ? answered(backend, link, body) : opened(backend, link);
}

function opened(backend: Backend, link: AccountLink): Shown {
  if (link.opened || link.expires_at <= now()) return { status: 303, location: link.refresh_url };
  const session = newId("session");
  unasked(backend, (unit) => unit.put({ ...link, opened: true, session }));
  return { status: 200, html: page(session) };
}

function answered(backend: Backend, link: AccountLink, body: string): Shown {
  const form = new URLSearchParams(body);
  if (link.session === null || form.get("session") !== link.session) {
    return { status: 303, location: link.refresh_url };
  }
  unasked(backend, (unit) => {
    unit.put({ ...link, session: null });
    if (form.get("answer") === "complete") setAccountStatus(unit, link.account, "active");
  });
  return { status: 303, location: link.return_url };
}

function page(session: string): string {
  return layout(
    "Be paid (test)",
    `<p>Here Stripe would ask who you are and where your money goes. This is a test: nothing is asked, and no money moves.</p>
<form method="post">
<input type="hidden" name="session" value="${session}">
<button name="answer" value="complete">Complete</button>
<button class="quiet" name="answer" value="later">Later</button>
</form>`,
  );
}
