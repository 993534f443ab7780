import type { MessageInitShape } from "@bufbuild/protobuf";
import type { StartOnboardingResponseSchema } from "@ticketing/proto/payments/v1/seller_service";
import { runWithoutDeadline } from "#runtime/call-deadline.ts";
import { withoutSecrets } from "../stripe/client.ts";
import type { PayoutDeps } from "./payout-execution.ts";
import { createOnboardingLink } from "./seller.ts";

/** Stripe's onboarding page for a seller. */
export async function startOnboarding(
  deps: PayoutDeps,
  sellerId: string,
): Promise<MessageInitShape<typeof StartOnboardingResponseSchema>> {
  try {
    return { url: await runWithoutDeadline(() => createOnboardingLink(deps, sellerId)) };
  } catch (error) {
    const { type, code } = error as { type?: string; code?: string };
    deps.log.warn({ type, code }, "Stripe's onboarding page could not be created");
    throw withoutSecrets(error);
  }
}
