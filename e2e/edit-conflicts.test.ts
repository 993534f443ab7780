import { beforeAll, describe, expect, it } from "vitest";
import { formOn, newUser, type Browser } from "./testing/browser.ts";

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
  const response = await seller.send(`/api${ticket}`);
  return ((await response.json()) as { ticket: Stored }).ticket;
}

/** A ticket for 25 EUR, and its form as it is open in two tabs. */
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

/** The form of the response, as it would be sent without edits. */
async function formIn(response: Response, status: number) {
  const page = await response.text();
  expect(response.status, page).toBe(status);
  return { page, form: formOn(page, "?/save") };
}

describe("a ticket that was changed in another tab", () => {
  it("is shown with both changes, and saving again undoes neither", async () => {
    const { ticket, save } = await opened();
    expect((await save({ price: "80.00" })).status).toBe(303);
    const { page, form } = await formIn(await save({ title: "Recital" }), 409);
    for (const text of ["Recital", "25.00 EUR", "80.00 EUR"]) expect(page).toContain(text);
    expect(await stored(ticket)).toMatchObject({ title: "Concert", price: { units: "80" } });

    await seller.follow(`${ticket}/edit?/save`, form);
    expect(await stored(ticket)).toMatchObject({ title: "Recital", price: { units: "80" } });
  });

  it("is not saved after a conflict until one of the changes is chosen", async () => {
    const { ticket, save } = await opened();
    await save({ price: "80.00" });
    const first = await formIn(await save({ price: "30.00" }), 409);
    const again = await seller.submit(`${ticket}/edit?/save`, first.form);
    const second = await formIn(again, 400);
    expect(second.page).toContain("Choose which one to keep.");
    expect((await stored(ticket)).price.units).toBe("80");

    await seller.follow(`${ticket}/edit?/save`, { ...second.form, "choice.price": "mine" });
    expect((await stored(ticket)).price.units).toBe("30");
  });

  it("keeps its current value if that is chosen", async () => {
    const { ticket, save } = await opened();
    await save({ price: "80.00", venue: "Arena" });
    const { form } = await formIn(await save({ price: "30.00", title: "Recital" }), 409);
    await seller.follow(`${ticket}/edit?/save`, { ...form, "choice.price": "current" });
    expect(await stored(ticket)).toMatchObject({
      title: "Recital",
      venue: "Arena",
      price: { units: "80" },
    });
  });

  it("needs another choice if it has changed again meanwhile", async () => {
    const { ticket, save } = await opened();
    await save({ price: "80.00" });
    const first = await formIn(await save({ title: "Recital" }), 409);
    const other = formOn(await seller.see(`${ticket}/edit`), "?/save");
    await seller.follow(`${ticket}/edit?/save`, { ...other, price: "90.00" });
    const again = await seller.submit(`${ticket}/edit?/save`, first.form);
    const second = await formIn(again, 409);
    expect(second.page).toContain("90.00 EUR");
    await seller.follow(`${ticket}/edit?/save`, second.form);
    expect(await stored(ticket)).toMatchObject({ title: "Recital", price: { units: "90" } });
  });

  it("keeps the form's version after an error in another field", async () => {
    const { ticket, save } = await opened();
    await save({ price: "80.00" });
    const { form } = await formIn(await save({ title: "Recital", eventTime: "soon" }), 400);
    const response = await seller.submit(`${ticket}/edit?/save`, { ...form, eventTime: "" });
    expect((await formIn(response, 409)).page).toContain("80.00 EUR");
  });

  it("keeps the code of the other tab until one of the codes is chosen", async () => {
    const { ticket, save } = await opened();
    await save({ code: "first-code" });
    const { form } = await formIn(await save({ code: "second-code" }), 409);
    expect(form["code"]).toBe("second-code");
    await formIn(await seller.submit(`${ticket}/edit?/save`, form), 400);
    await seller.follow(`${ticket}/edit?/save`, { ...form, "choice.code": "mine" });
  });
});

it("a ticket that was only reserved or relisted meanwhile is saved at once", async () => {
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
