import type { Parts } from "./api.ts";
import { money } from "./currencies.ts";
import type { Intent } from "./objects.ts";
import { answerChallenge } from "./payment.ts";
import { Unit } from "./unit.ts";

/** A page, or the way back to the shop. */
interface Shown {
  status: number;
  html?: string;
  location?: string;
}

/**
 * The page of the bank, where the buyer proves to be the owner of the card, or does not: shown by
 * GET, answered by POST. Its address holds the secret of the intent.
 */
export function challenge(parts: Parts, method: string, url: URL, body: string): Shown {
  const intent = parts.journal.get("payment_intent", url.pathname.slice("/challenge/".length));
  if (!intent || intent.client_secret !== url.searchParams.get("client_secret")) {
    return { status: 404, html: "No such payment." };
  }
  if (method !== "POST") return { status: 200, html: page(intent) };
  const unit = new Unit(parts.journal, parts.webhooks, { id: null, idempotency_key: null });
  const passed = new URLSearchParams(body).get("answer") === "complete";
  const answered = answerChallenge(unit, intent, passed);
  unit.commit();
  const location = returnAddress(intent, answered);
  return location ? { status: 303, location } : { status: 200, html: page(answered) };
}

function page(intent: Intent): string {
  const amount = money(intent.amount, intent.currency);
  const asked =
    intent.status === "requires_action"
      ? `<p>Test bank: do you allow a payment of <b>${amount}</b>?</p>
<form method="post">
<button name="answer" value="complete">Complete</button>
<button name="answer" value="fail">Fail</button>
</form>`
      : `<p>This payment waits for nothing.</p>`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>3-D Secure (test)</title>
<h1>3-D Secure</h1>
${asked}
</html>
`;
}

/** Where the buyer goes after the answer, with what Stripe adds to the address. */
function returnAddress(asked: Intent, answered: Intent): string | undefined {
  if (asked.next_action?.type !== "redirect_to_url") return undefined;
  const url = new URL(asked.next_action.redirect_to_url.return_url);
  const failed = answered.status === "requires_payment_method";
  url.searchParams.set("payment_intent", asked.id);
  url.searchParams.set("payment_intent_client_secret", asked.client_secret);
  url.searchParams.set("redirect_status", failed ? "failed" : "succeeded");
  return url.href;
}
