/**
 * Resolves with the result of `work`, or rejects with the error of `late` after the time limit; the work
 * itself continues.
 */
export async function withDeadline<T>(ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(late()), ms).unref();
  return Promise.race([work, promise]).finally(() => clearTimeout(timer));
}
