import { money } from "./currencies.ts";
import type { Intent } from "../objects/objects.ts";
import { escaped, layout, type Shown } from "../requests/pages.ts";
import { answerChallenge } from "./payment.ts";
import { unasked, type Backend } from "../store/unit.ts";

const TITLE = "3-D Secure (test)";

/**
 * The page of the bank, where the buyer completes or fails 3-D Secure. GET shows it, and POST submits
 * it. Its URL contains the client secret of the PaymentIntent.
 */
export function challenge(backend: Backend, method: string, url: URL, body: string): Shown {
  const id = url.pathname.slice("/challenge/".length);
  const intent = backend.journal.get("payment_intent", id);
  if (!intent || intent.client_secret !== url.searchParams.get("client_secret")) {
    return { status: 404, html: layout(TITLE, "<p>No such payment.</p>") };
  }
  const shop = backend.journal.get("challenge", id)?.return_url ?? undefined;
  if (method !== "POST") return { status: 200, html: page(intent, shop) };
  const passed = new URLSearchParams(body).get("answer") === "complete";
  const answered = unasked(backend, (unit) => answerChallenge(unit, intent, passed));
  return shop
    ? { status: 303, location: returnAddress(answered, shop) }
    : { status: 200, html: page(answered, shop) };
}

function page(intent: Intent, shop: string | undefined): string {
  const asked =
    intent.status === "requires_action"
      ? `<p>Test bank: do you allow a payment of <b>${money(intent.amount, intent.currency)}</b>?</p>
<form method="post">
<button name="answer" value="complete">Complete</button>
<button class="quiet" name="answer" value="fail">Fail</button>
</form>`
      : `<p>This payment waits for nothing.</p>`;
  const back = shop ? `<p><a href="${escaped(shop)}">Back to the shop</a></p>` : "";
  return layout(TITLE, `${asked}\n${back}`);
}

/** The return URL with the query parameters that Stripe adds. */
function returnAddress({ id, client_secret, status }: Intent, shop: string): string {
  const failed = status === "requires_payment_method" || status === "canceled";
  const url = new URL(shop);
  url.searchParams.set("payment_intent", id);
  url.searchParams.set("payment_intent_client_secret", client_secret);
  url.searchParams.set("redirect_status", failed ? "failed" : "succeeded");
  return url.href;
}
