import { setTimeout as passing } from "node:timers/promises";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { AccountService } from "@ticketing/proto/auth/v1/account_service";
import { clients, signUp, transportTo } from "../testing/person.ts";

/** The codes that a call may fail with while a part is faulty. */
const EXPECTED_CODES = new Set([
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.ResourceExhausted,
  Code.Aborted,
]);

const PAUSE_BETWEEN_CALLS_MS = 50;

export interface TrafficResult {
  /** The errors that a fault does not excuse. */
  unexpected: string[];
  longestMs: number;
  /** The refresh token of the last renewal that succeeded. */
  refreshToken: string;
}

/** Calls every service as an impatient user does, while `during` runs. */
export async function withTraffic(
  url: string,
  timeoutMs: number,
  during: () => Promise<void>,
): Promise<TrafficResult> {
  const person = await signUp(url, "busy");
  const transport = transportTo(url, person.token);
  const { tickets, orders, auth } = clients(transport);
  const accounts = createClient(AccountService, transport);
  const unexpected: string[] = [];
  let longestMs = 0;
  let isOver = false;
  let { refreshToken } = person;

  async function call<T>(name: string, work: Promise<T>): Promise<T | undefined> {
    const startedAt = performance.now();
    try {
      return await work;
    } catch (error) {
      const { code, message } = ConnectError.from(error);
      if (!EXPECTED_CODES.has(code)) unexpected.push(`${name}: ${message}`);
      return undefined;
    } finally {
      longestMs = Math.max(longestMs, performance.now() - startedAt);
    }
  }
  const options = { timeoutMs };
  const price = { currencyCode: "EUR", units: 25n, nanos: 500_000_000 };
  async function sell(): Promise<void> {
    const created = await call("create", tickets.createTicket({ title: "A", price }, options));
    await call("list", tickets.listTickets({}, options));
    const id = created?.ticket?.id;
    if (id) await call("edit", tickets.updateTicket({ id, title: "B", price }, options));
  }
  async function renew(): Promise<void> {
    const renewed = await call("renew", auth.refreshSession({ refreshToken }, options));
    refreshToken = renewed?.tokens?.refreshToken ?? refreshToken;
  }
  const loops = [
    sell,
    renew,
    () => call("orders", orders.listOrders({}, options)),
    () => call("reset", accounts.requestPasswordReset({ email: person.email }, options)),
  ].map(async (work) => {
    while (!isOver) {
      await work();
      await passing(PAUSE_BETWEEN_CALLS_MS);
    }
  });
  await during().finally(() => (isOver = true));
  await Promise.all(loops);
  return { unexpected, longestMs, refreshToken };
}
