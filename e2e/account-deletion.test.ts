import { createClient } from "@connectrpc/connect";
import { AccountService } from "@ticketing/proto/auth/v1/account_service";
import { AuthService, TokenDelivery } from "@ticketing/proto/auth/v1/auth_service";
import { ClaimKind } from "@ticketing/proto/payments/v1/claim";
import { TicketStatus } from "@ticketing/proto/tickets/v1/ticket";
import { expect, inject, it } from "vitest";
import { until } from "#stack/process";
import {
  buy,
  clients,
  listTicket,
  pay,
  signUp,
  anonymous,
  fetchTicket,
  transportTo,
} from "./testing/person.ts";
import { errorOf } from "./testing/rpc-error.ts";
import "./testing/setup.ts"; // For the type of what it provides.

const { url } = inject("marketplace");

/** Somebody whose password is known, so that they can leave. */
async function leaver() {
  const credentials = {
    email: `leaver-${crypto.randomUUID()}@example.com`,
    password: crypto.randomUUID(),
  };
  const { tokens } = await anonymous(url).auth.signUp({
    ...credentials,
    tokenDelivery: TokenDelivery.BODY,
  });
  const transport = transportTo(url, tokens?.accessToken);
  const account = createClient(AccountService, transport);
  const leave = (forfeit: string[] = []) =>
    account.deleteAccount({ password: credentials.password, forfeit });
  const signIn = () => createClient(AuthService, transportTo(url)).signIn(credentials);
  return { transport, leave, signIn };
}

it("nobody leaves with a paid ticket unawares, and whoever gives it up does", async () => {
  const [seller, ann] = [await signUp(url, "seller"), await leaver()];
  const buyer = { ...clients(ann.transport), id: "", email: "", token: "", refreshToken: "" };
  const ticket = await listTicket(seller, "A concert to come");
  const order = await buy(buyer, ticket);
  await pay(buyer, order);
  await until(async () => (await fetchTicket(url, ticket)).status === TicketStatus.SOLD, {
    what: "the sale",
  });
  await until(
    async () => (await buyer.payments.listClaims({})).claims[0]?.kind === ClaimKind.TICKET,
    {
      what: "the claim",
    },
  );
  expect(await errorOf(ann.leave())).toMatchObject({ reason: "ACCOUNT_HAS_CLAIMS" });
  await ann.signIn();
  const { claims } = await buyer.payments.listClaims({});
  await ann.leave(claims.map(({ id }) => id));
  expect(await errorOf(ann.signIn())).toMatchObject({ reason: "WRONG_CREDENTIALS" });
});

it("whoever has nothing due leaves at once", async () => {
  const ann = await leaver();
  await ann.leave();
  expect(await errorOf(ann.signIn())).toMatchObject({ reason: "WRONG_CREDENTIALS" });
});
