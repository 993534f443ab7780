import type { MessageInitShape } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import {
  TicketService,
  TicketSort,
  type CreateTicketRequestSchema,
  type ListTicketsRequestSchema,
} from "@ticketing/proto/tickets/v1/ticket_service";
import { describe, expect, it } from "vitest";
import { as } from "../testing/tokens.ts";
import { refusal } from "../testing/refusal.ts";
import { testClient } from "../testing/client.ts";

// The tickets' contract has every kind of rule that the contracts use.
const client = testClient(TicketService, (router) =>
  router.service(TicketService, {
    createTicket: () => ({ ticket: { id: "made" } }),
    listTickets: () => ({ nextPageToken: "listed" }),
  }),
);
const ann = await as("ann");
const good = { title: "A concert", price: { currencyCode: "EUR", units: 20n } };

describe("a request that breaks a rule of its contract", () => {
  it.each<[string, MessageInitShape<typeof CreateTicketRequestSchema>, string[]]>([
    ["a missing message", { ...good, price: undefined as never }, ["price REQUIRED"]],
    ["an invalid message", { ...good, price: { units: 20n } }, ["price MONEY_CURRENCY"]],
    ["a text of spaces", { ...good, title: "  " }, ["title STRING_PATTERN"]],
    ["a text that is too long", { ...good, title: "x".repeat(201) }, ["title STRING_MAX_LEN"]],
    ["an unknown enum value", { ...good, category: 99 as never }, ["category ENUM_DEFINED_ONLY"]],
    [
      "a date in the past",
      { ...good, eventTime: { seconds: 1n } },
      ["event_time TIMESTAMP_GT_NOW"],
    ],
    ["an ID that is not a UUID", { ...good, requestId: "1" }, ["request_id STRING_UUID"]],
  ])(
    "is refused with the field's name in the notation of the contract: %s",
    async (_, request, wrong) => {
      expect(await refusal(client.createTicket(request, ann))).toMatchObject({
        code: Code.InvalidArgument,
        violations: wrong,
      });
    },
  );

  it("is answered with all violations at once", async () => {
    const { violations } = await refusal(client.createTicket({ venue: "x".repeat(201) }, ann));
    expect(violations).toEqual(["title STRING_PATTERN", "price REQUIRED", "venue STRING_MAX_LEN"]);
  });

  it.each<[string, MessageInitShape<typeof ListTicketsRequestSchema>, string[]]>([
    ["a negative number", { pageSize: -1 }, ["page_size INT32_GTE"]],
    [
      "fields that contradict each other",
      { orderBy: TicketSort.PRICE_ASCENDING },
      ["LIST_CURRENCY"],
    ],
  ])("is refused although the method is open to everyone: %s", async (_, request, wrong) => {
    expect((await refusal(client.listTickets(request))).violations).toEqual(wrong);
  });

  it("is refused for a missing token first, so an anonymous caller learns no rules", async () => {
    expect(await refusal(client.createTicket({}))).toMatchObject({
      code: Code.Unauthenticated,
      violations: [],
    });
  });
});

it("accepts a request that follows the rules", async () => {
  expect((await client.createTicket(good, ann)).ticket?.id).toBe("made");
  expect((await client.listTickets({})).nextPageToken).toBe("listed");
});

it("converts IDs to lower case for every handler, in every field of a request", async () => {
  const seen: string[] = [];
  const heard = testClient(TicketService, (router) =>
    router.service(TicketService, {
      getTicket: ({ id }) => (seen.push(id), {}),
      createTicket: ({ requestId, title }) => (seen.push(requestId, title), {}),
      listTickets: ({ sellerId }) => (seen.push(sellerId), {}),
    }),
  );
  const id = "019f00ab-cdef-7000-8000-0000000000ff";
  const capitals = id.toUpperCase();
  await heard.getTicket({ id: capitals });
  await heard.createTicket({ ...good, title: "ABBA", requestId: capitals }, ann);
  await heard.listTickets({ sellerId: capitals });
  await heard.listTickets({});
  expect(seen).toEqual([id, id, "ABBA", id, ""]);
});
