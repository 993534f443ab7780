/** The reason of a decline, as Stripe reports it. */
export interface Decline {
  code: string;
  decline_code?: string;
  message: string;
}

/** A test card: its public details, and its behavior. */
export interface TestCard {
  brand: string;
  last4: string;
  funding?: "debit" | "prepaid";
  /** The card requires 3-D Secure before it is charged. */
  challenge?: true;
  /** A refund to the card stays pending until the bank accepts it. */
  slowRefund?: true;
  decline?: Decline;
}

const declined = (decline_code: string, message = "Your card was declined."): Decline => ({
  code: "card_declined",
  decline_code,
  message,
});

const generic = declined("generic_decline");
const fraud = declined("fraudulent");
const lost = declined("lost_card");
const stolen = declined("stolen_card");
const broke = declined("insufficient_funds", "Your card has insufficient funds.");
const velocity = declined("card_velocity_exceeded");
const expired: Decline = { code: "expired_card", message: "Your card has expired." };
const cvc: Decline = { code: "incorrect_cvc", message: "Your card's security code is incorrect." };
const processing: Decline = {
  code: "processing_error",
  message: "An error occurred while processing your card. Try again in a little bit.",
};

const visa = (last4: string, decline?: Decline): TestCard =>
  decline ? { brand: "visa", last4, decline } : { brand: "visa", last4 };
const challenged = (last4: string, decline?: Decline): TestCard => ({
  ...visa(last4, decline),
  challenge: true,
});

/**
 * Stripe's test cards (docs.stripe.com/testing). A card is used by its token `tok_…` or its payment
 * method `pm_card_…`. The rest of that ID is its name here.
 */
const cards: Record<string, TestCard> = {
  visa: visa("4242"),
  visa_debit: { brand: "visa", last4: "5556", funding: "debit" },
  mastercard: { brand: "mastercard", last4: "4444" },
  mastercard_debit: { brand: "mastercard", last4: "8210", funding: "debit" },
  mastercard_prepaid: { brand: "mastercard", last4: "5100", funding: "prepaid" },
  amex: { brand: "amex", last4: "8431" },
  discover: { brand: "discover", last4: "9424" },
  diners: { brand: "diners", last4: "0004" },
  jcb: { brand: "jcb", last4: "0505" },
  unionpay: { brand: "unionpay", last4: "0005" },

  chargeDeclined: visa("0002", generic),
  chargeDeclinedInsufficientFunds: visa("9995", broke),
  chargeDeclinedLostCard: visa("9987", lost),
  chargeDeclinedStolenCard: visa("9979", stolen),
  chargeDeclinedFraudulent: visa("0019", fraud),
  chargeDeclinedExpiredCard: visa("0069", expired),
  chargeDeclinedIncorrectCvc: visa("0127", cvc),
  chargeDeclinedProcessingError: visa("0119", processing),
  visa_chargeDeclined: visa("0002", generic),
  visa_chargeDeclinedInsufficientFunds: visa("9995", broke),
  visa_chargeDeclinedLostCard: visa("9987", lost),
  visa_chargeDeclinedStolenCard: visa("9979", stolen),
  visa_chargeDeclinedFraudulent: visa("0019", fraud),
  visa_chargeDeclinedExpiredCard: visa("0069", expired),
  visa_chargeDeclinedIncorrectCvc: visa("0127", cvc),
  visa_chargeDeclinedProcessingError: visa("0119", processing),
  visa_chargeDeclinedVelocityLimitExceeded: visa("6975", velocity),
  chargeCustomerFail: visa("0341", generic),
  radarBlock: visa("0019", fraud),

  pendingRefund: { ...visa("7726"), slowRefund: true },

  threeDSecure2Required: challenged("3220"),
  threeDSecureRequired: challenged("3220"),
  authenticationRequired: challenged("3184"),
  threeDSecureRequiredChargeDeclined: challenged("1629", generic),
};

/** The name of the card of a test token or a test payment method, if it exists. */
export function cardName(reference: string): string | undefined {
  const name = /^(?:tok|pm_card)_(.+)$/.exec(reference)?.[1];
  return name !== undefined && Object.hasOwn(cards, name) ? name : undefined;
}

/** The card with a name. */
export function testCard(name: string): TestCard {
  const card = cards[name];
  if (!card) throw new Error(`no test card ${name}`);
  return card;
}
