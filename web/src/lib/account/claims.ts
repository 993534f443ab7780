import { ClaimKind } from "@ticketing/proto/web/payments/v1/claim";

interface ClaimDescription {
  title: string;
  /** What the user can do about it. */
  nextStep: string;
  href?: string;
}

const unknown: ClaimDescription = {
  title: "Something is not settled yet",
  nextStep: "Wait until it is settled.",
};

const descriptions: Partial<Record<ClaimKind, ClaimDescription>> = {
  [ClaimKind.EARNINGS]: {
    title: "Earnings that haven’t been paid out",
    nextStep: "Set up payouts, then wait until the event is over and the payout is sent.",
    href: "/earnings",
  },
  [ClaimKind.PAYOUT]: {
    title: "A payout in transit",
    nextStep: "Wait until it arrives.",
    href: "/earnings",
  },
  [ClaimKind.TICKET]: {
    title: "A ticket that you bought and haven’t used",
    nextStep: "Show its code, or wait until the event is over.",
  },
  [ClaimKind.REFUND]: {
    title: "A refund in progress",
    nextStep: "Wait until your bank has received it.",
  },
  [ClaimKind.ORDER]: {
    title: "An open order",
    nextStep: "Pay for it or cancel it.",
  },
  [ClaimKind.SALE]: {
    title: "Someone is buying your ticket",
    nextStep: "Wait until the order is paid or cancelled.",
    href: "/listings",
  },
};

/** Describes a claim to the user who has it. */
export const describeClaim = (kind: ClaimKind): ClaimDescription => descriptions[kind] ?? unknown;
