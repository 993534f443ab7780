import { rangeOf } from "#runtime/identity/client-network.ts";

const labels: Record<string, string> = {
  loopback: "this machine",
  private: "a private network",
  carrierGradeNat: "a private network",
  linkLocal: "a private network",
  uniqueLocal: "a private network",
};

/** Describes the network of an address. Nothing is known about an address of the internet. */
export const networkLabel = (address: string): string => labels[rangeOf(address)] ?? "";
