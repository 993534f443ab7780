import { ClaimKind } from "@ticketing/proto/web/payments/v1/claim";

interface About {
  what: string;
  todo: string;
  href?: string;
}

const unknown: About = { what: "Something is due to you", todo: "Wait until it is settled." };

const words: Record<number, About> = {
  [ClaimKind.EARNINGS]: {
    what: "Earnings that are not paid out",
    todo: "Set up payouts, and wait until the event is over and the money is on its way.",
    href: "/earnings",
  },
  [ClaimKind.PAYOUT]: {
    what: "A payout on its way",
    todo: "Wait until it has arrived.",
    href: "/earnings",
  },
  [ClaimKind.TICKET]: {
    what: "A ticket that you have paid for and not used",
    todo: "Open its code, or wait for the event.",
  },
  [ClaimKind.REFUND]: {
    what: "A refund on its way to you",
    todo: "Wait until your bank has it.",
  },
  [ClaimKind.ORDER]: {
    what: "An order that is not finished",
    todo: "Pay or cancel it.",
  },
  [ClaimKind.SALE]: {
    what: "Somebody is buying your ticket",
    todo: "Wait until they have paid or given up.",
    href: "/listings",
  },
};

/** What a claim is, in words for the one whose it is, and what they can do about it. */
export const describeClaim = (kind: ClaimKind): About => words[kind] ?? unknown;
