/** A write or a message that a change cannot do without. */
export type Step = "insert" | "update" | "publish";

/**
 * The least that each change needs under the same promises, one after the other: a majority write for
 * every document that changes, and a confirmed and consumed message for every event. Outboxes need no
 * write of their own: an event is inserted with its document.
 */
export const necessary = {
  /** The ticket, its event, and its replica in orders. */
  create: ["insert", "publish", "insert"],
  /**
   * The order, its event, the ticket that is now held, its event, the two replicas, and the timer of the
   * hold.
   */
  hold: ["insert", "publish", "update", "publish", "update", "insert", "publish"],
  /**
   * The same as for a hold; then the payment before and after Stripe authorizes it, the order that
   * accepts it, the capture before and after Stripe does it, the completed order, the sold ticket, the
   * replicas of both, and the mail; with an event between each service and the next.
   */
  purchase: [
    ...["insert", "publish", "update", "publish", "update", "insert", "publish"],
    ...["insert", "update", "publish", "update", "publish", "update", "update", "publish"],
    ...["update", "publish", "update", "publish", "update", "update", "insert"],
  ] as Step[],
} as const satisfies Record<string, readonly Step[]>;

export type Change = keyof typeof necessary;
