import { setTimeout as passing } from "node:timers/promises";
import type { Order } from "@ticketing/proto/orders/v1/order";
import type { Ticket } from "@ticketing/proto/tickets/v1/ticket";
import { until } from "#stack/process";
import { buy, holdEndOf, listTicket, pay, type Person } from "../testing/person.ts";
import { toRpcError } from "../testing/rpc-error.ts";

export interface PurchaseOptions {
  seller: Person;
  /** Returns a number from 0 to below 1. */
  random: () => number;
  /** When buyers answer their bank: the earliest and the latest time after the end of the hold. */
  bankAnswerMs: readonly [earliest: number, latest: number];
}

/** The history of a workload: the responses that its buyers received. */
export interface History {
  /** The number of purchases, by their outcome. */
  readonly outcomes: Record<string, number>;
  /** The orders that a buyer got a response for: none of them may be lost. */
  readonly acknowledged: Set<string>;
}

const BANK_TIMEOUT_MS = 60_000;
const BANK_PAGE_TIMEOUT_MS = 2_000;
/** Buyers who wait pay until this long before the end of the hold. */
const PAYMENT_MARGIN_MS = 4_500;

const reasonOf = (error: unknown): string => {
  const { reason, code, message } = toRpcError(error);
  return reason ?? `${code}: ${message}`;
};

/** Returns a function that makes one purchase, and records it in the history. */
export function purchases({ seller, random, bankAnswerMs }: PurchaseOptions, history: History) {
  const record = (outcome: string): void =>
    void (history.outcomes[outcome] = (history.outcomes[outcome] ?? 0) + 1);

  /** Completes 3-D Secure four times out of five, otherwise fails it, around the end of the hold. */
  async function answerBank(page: string, order: Order): Promise<void> {
    const answer = random() < 0.8 ? "complete" : "fail";
    const [earliest, latest] = bankAnswerMs;
    const at = holdEndOf(order).getTime() + earliest + random() * (latest - earliest);
    await passing(Math.max(0, at - Date.now()));
    // Stripe may be down at this moment, and the buyer reloads the page.
    const submit = async () => {
      const response = await fetch(page, {
        method: "POST",
        body: `answer=${answer}`,
        redirect: "manual",
        signal: AbortSignal.timeout(BANK_PAGE_TIMEOUT_MS),
      });
      return response.status < 500;
    };
    await until(submit, { what: "the bank's page", timeoutMs: BANK_TIMEOUT_MS, everyMs: 200 });
  }

  async function payWithBankQuestion(buyer: Person, order: Order): Promise<string> {
    const payment = await pay(buyer, order, "tok_threeDSecure2Required").catch(reasonOf);
    if (typeof payment === "string") return payment;
    if (!payment.actionUrl) return "not asked";
    await answerBank(payment.actionUrl, order);
    return "asked by the bank";
  }

  const payWith = (buyer: Person, order: Order, token?: string): Promise<string> =>
    pay(buyer, order, token).then(() => "paid", reasonOf);

  /** Chooses at random what the buyer does with the order; returns the outcome. */
  async function complete(buyer: Person, order: Order, choice: number): Promise<string> {
    if (choice < 0.1) return "left alone";
    if (choice < 0.2)
      return buyer.orders.cancelOrder({ id: order.id }).then(() => "cancelled", reasonOf);
    if (choice < 0.3) return payWith(buyer, order, "tok_chargeDeclinedInsufficientFunds");
    if (choice < 0.6) return payWithBankQuestion(buyer, order);
    if (choice < 0.8) {
      // At any time of the hold, also slightly after the last allowed one.
      const remainingMs = holdEndOf(order).getTime() - Date.now() - PAYMENT_MARGIN_MS;
      await passing(random() * Math.max(0, remainingMs));
    }
    return payWith(buyer, order);
  }

  return async (buyer: Person, ticket?: Ticket): Promise<void> => {
    const choice = random();
    const order = await buy(buyer, ticket ?? (await listTicket(seller)));
    history.acknowledged.add(order.id);
    record(await complete(buyer, order, choice));
  };
}
