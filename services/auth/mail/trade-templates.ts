import { toSingleLine } from "#runtime/values/text.ts";
import type { EmailContent } from "./email-templates.ts";

/** Why the service writes about a trade: to the buyer, or (`sold`, `returned`) to the seller. */
export type TradeEmailCause = "paid" | "refused" | "refunded" | "sold" | "returned";

/** What a trade was about. */
export interface Trade {
  orderId: string;
  title: string;
  /** Formatted for people: "25.50 EUR". */
  amount: string;
}

type TradeTemplate = (trade: Trade, url: string) => EmailContent;

const templates: Record<TradeEmailCause, TradeTemplate> = {
  paid: ({ title, amount, orderId }, url) => ({
    subject: `Your ticket: ${title}`,
    text: `You paid ${amount}, and the ticket is yours: ${title}.\n\nYour order, with the ticket's code if it has one:\n${url}/orders/${orderId}`,
  }),
  refused: ({ title, amount, orderId }, url) => ({
    subject: `Payment declined: ${title}`,
    text: `Your payment of ${amount} was declined: ${title}. The order is cancelled, and you were not charged.\n\n${url}/orders/${orderId}`,
  }),
  refunded: ({ title, amount, orderId }, url) => ({
    subject: `Refund: ${title}`,
    text: `You were refunded ${amount}: ${title}. Your bank may take a few days to show it.\n\n${url}/orders/${orderId}`,
  }),
  sold: ({ title, amount }, url) => ({
    subject: `Sold: ${title}`,
    text: `Your ticket was sold for ${amount}: ${title}.\n\nYour earnings and payouts:\n${url}/earnings`,
  }),
  returned: ({ title, amount }, url) => ({
    subject: `Refunded to the buyer: ${title}`,
    text: `The buyer of your ticket was refunded ${amount}: ${title}. After a full refund the ticket is yours again, and not for sale until you relist it.\n\n${url}/earnings`,
  }),
};

/** The email about a trade. The seller wrote the title, so line breaks in it are removed. */
export const tradeEmail = (cause: TradeEmailCause, url: string, trade: Trade): EmailContent =>
  templates[cause]({ ...trade, title: toSingleLine(trade.title) }, url);
