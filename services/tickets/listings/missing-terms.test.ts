import { expect, it } from "vitest";
import { newId } from "#runtime/store/ids.ts";
import { as } from "#runtime/testing/tokens.ts";
import { addMissingTerms } from "./missing-terms.ts";
import { testTickets } from "../testing.ts";

const { deps, client, list } = await testTickets();

it("tickets that an earlier version has stored are found by their words", async () => {
  const seller = newId();
  for (let i = 0; i < 3; i += 1) await list({ title: `Old ${i}`, venue: "Arena" }, seller);
  await deps.tickets.collection.updateMany({ userId: seller }, { $unset: { terms: "" } });
  const found = async (): Promise<string[]> =>
    (await client.listTickets({ query: "old arena" }, await as("eve"))).tickets.map(
      ({ title }) => title,
    );
  expect(await found()).toEqual([]);
  await addMissingTerms(deps.tickets);
  expect(await found()).toEqual(["Old 2", "Old 1", "Old 0"]);
  const { version } = await deps.tickets.findOne({ userId: seller }).orFail();
  expect(version).toBe(1);
});
