import { createClient } from "@connectrpc/connect";
import { AccountService } from "@ticketing/proto/auth/v1/account_service";
import { ClaimKind } from "@ticketing/proto/payments/v1/claim";
import { TicketStatus } from "@ticketing/proto/tickets/v1/ticket";
import { expect, inject, it } from "vitest";
import { until } from "#stack/process";
import {
  buy,
  fetchTicket,
  listTicket,
  pay,
  signIn,
  signUp,
  transportTo,
} from "./testing/person.ts";
import { errorOf } from "./testing/rpc-error.ts";
import "./testing/setup.ts"; // For the type of what it provides.

const { url } = inject("marketplace");

/** A user, and what the user does to delete the account. */
async function newUser() {
  const person = await signUp(url, "leaver");
  const account = createClient(AccountService, transportTo(url, person.token));
  const deleteAccount = (forfeit: string[] = []) =>
    account.deleteAccount({ password: person.password, forfeit });
  return { person, deleteAccount };
}

it("a user with a paid ticket can delete the account only after giving the ticket up", async () => {
  const [seller, ann] = [await signUp(url, "seller"), await newUser()];
  const buyer = ann.person;
  const ticket = await listTicket(seller, "A concert to come");
  const order = await buy(buyer, ticket);
  await pay(buyer, order);
  await until(async () => (await fetchTicket(buyer, ticket)).status === TicketStatus.SOLD, {
    what: "the sale",
  });
  await until(
    async () => (await buyer.payments.listClaims({})).claims[0]?.kind === ClaimKind.TICKET,
    {
      what: "the claim",
    },
  );
  expect(await errorOf(ann.deleteAccount())).toMatchObject({ reason: "ACCOUNT_HAS_CLAIMS" });
  await signIn(url, ann.person);
  const { claims } = await buyer.payments.listClaims({});
  await ann.deleteAccount(claims.map(({ id }) => id));
  expect(await errorOf(signIn(url, ann.person))).toMatchObject({ reason: "WRONG_CREDENTIALS" });
});

it("a user without claims can delete the account at once", async () => {
  const ann = await newUser();
  await ann.deleteAccount();
  expect(await errorOf(signIn(url, ann.person))).toMatchObject({ reason: "WRONG_CREDENTIALS" });
});
