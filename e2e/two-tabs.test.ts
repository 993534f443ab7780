import { beforeAll, describe, expect, inject, it } from "vitest";
import { formOn, newUser, type Browser } from "./browser.ts";

const { url } = inject("place");

let seller: Browser;
beforeAll(async () => {
  seller = await newUser("seller");
});

interface Stored {
  title: string;
  venue: string;
  price: { units: string };
  version: string;
}

async function stored(ticket: string): Promise<Stored> {
  const answer = await fetch(`${url}/api${ticket}`);
  return ((await answer.json()) as { ticket: Stored }).ticket;
}

/** A ticket for 25 EUR, and its form as two tabs have it open. */
async function opened(fields: Record<string, string> = {}) {
  const ticket = await seller.follow("/tickets/new", {
    ...{ title: "Concert", price: "25.00", currency: "EUR", venue: "Hall" },
    ...fields,
    requestId: crypto.randomUUID(),
  });
  const form = formOn(await seller.see(`${ticket}/edit`), "?/save");
  const save = (change: Record<string, string>) =>
    seller.submit(`${ticket}/edit?/save`, { ...form, ...change });
  return { ticket, save };
}

/** The form of the page that comes back, as it would be sent if nothing in it were touched. */
async function comesBack(answer: Response, status: number) {
  const page = await answer.text();
  expect(answer.status, page).toBe(status);
  return { page, form: formOn(page, "?/save") };
}

describe("a ticket that was changed in another tab", () => {
  it("is shown as typed and as it is, and saving again puts nothing back that was changed", async () => {
    const { ticket, save } = await opened();
    expect((await save({ price: "80.00" })).status).toBe(303);
    const { page, form } = await comesBack(await save({ title: "Recital" }), 409);
    for (const words of ["Recital", "25.00 EUR", "80.00 EUR"]) expect(page).toContain(words);
    expect(await stored(ticket)).toMatchObject({ title: "Concert", price: { units: "80" } });

    await seller.follow(`${ticket}/edit?/save`, form);
    expect(await stored(ticket)).toMatchObject({ title: "Recital", price: { units: "80" } });
  });

  it("is not changed where both changed the same, until one of the two is chosen", async () => {
    const { ticket, save } = await opened();
    await save({ price: "80.00" });
    const first = await comesBack(await save({ price: "30.00" }), 409);
    const again = await seller.submit(`${ticket}/edit?/save`, first.form);
    const second = await comesBack(again, 400);
    expect(second.page).toContain("Choose one of the two.");
    expect((await stored(ticket)).price.units).toBe("80");

    await seller.follow(`${ticket}/edit?/save`, { ...second.form, "choice.price": "mine" });
    expect((await stored(ticket)).price.units).toBe("30");
  });

  it("stays as it is where that is chosen", async () => {
    const { ticket, save } = await opened();
    await save({ price: "80.00", venue: "Arena" });
    const { form } = await comesBack(await save({ price: "30.00", title: "Recital" }), 409);
    await seller.follow(`${ticket}/edit?/save`, { ...form, "choice.price": "now" });
    expect(await stored(ticket)).toMatchObject({
      title: "Recital",
      venue: "Arena",
      price: { units: "80" },
    });
  });

  it("is asked about once more where it has changed again meanwhile", async () => {
    const { ticket, save } = await opened();
    await save({ price: "80.00" });
    const first = await comesBack(await save({ title: "Recital" }), 409);
    const other = formOn(await seller.see(`${ticket}/edit`), "?/save");
    await seller.follow(`${ticket}/edit?/save`, { ...other, price: "90.00" });
    const again = await seller.submit(`${ticket}/edit?/save`, first.form);
    const second = await comesBack(again, 409);
    expect(second.page).toContain("90.00 EUR");
    await seller.follow(`${ticket}/edit?/save`, second.form);
    expect(await stored(ticket)).toMatchObject({ title: "Recital", price: { units: "90" } });
  });

  it("comes back with the old form's version where something else in the form was wrong", async () => {
    const { ticket, save } = await opened();
    await save({ price: "80.00" });
    const { form } = await comesBack(await save({ title: "Recital", eventTime: "soon" }), 400);
    const answer = await seller.submit(`${ticket}/edit?/save`, { ...form, eventTime: "" });
    expect((await comesBack(answer, 409)).page).toContain("80.00 EUR");
  });

  it("keeps the code of the other tab until one of the two is chosen", async () => {
    const { ticket, save } = await opened();
    await save({ code: "first-code" });
    const { form } = await comesBack(await save({ code: "second-code" }), 409);
    expect(form["code"]).toBe("second-code");
    await comesBack(await seller.submit(`${ticket}/edit?/save`, form), 400);
    await seller.follow(`${ticket}/edit?/save`, { ...form, "choice.code": "mine" });
  });
});

it("a ticket that was only held or relisted meanwhile is saved at once", async () => {
  const { ticket, save } = await opened();
  await seller.follow(`${ticket}/edit?/withdraw`, {});
  await seller.follow(`${ticket}/edit?/relist`, {});
  const { version } = await stored(ticket);
  expect((await save({ title: "Recital" })).status).toBe(303);
  expect(await stored(ticket)).toMatchObject({
    title: "Recital",
    version: String(Number(version) + 1),
  });
});
