/** What the local Stripe's own books say, of the tables that are asked for. */
export async function fetchStripeRecords<T>(stripeUrl: string | undefined): Promise<T> {
  const answer = await fetch(`${stripeUrl}/_test/books`);
  return (await answer.json()) as T;
}
