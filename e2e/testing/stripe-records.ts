/** The objects that the local Stripe has stored, by type. */
export async function fetchStripeRecords<T>(stripeUrl: string | undefined): Promise<T> {
  const response = await fetch(`${stripeUrl}/_test/records`);
  return (await response.json()) as T;
}
