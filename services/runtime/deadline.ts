/** What `work` gives, or the error that `late` makes where it takes longer; the work itself goes on. */
export async function withDeadline<T>(ms: number, work: Promise<T>, late: () => Error): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(late()), ms).unref();
  return Promise.race([work, promise]).finally(() => clearTimeout(timer));
}
