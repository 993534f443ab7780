import { globSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { Browser, field, newAdministrator, newUser } from "./testing/browser.ts";

// Every page of the storefront, and every link on it.

const web = join(import.meta.dirname, "../web");
const routes = join(web, "src/routes");
const pathOf = (file: string): string => `/${dirname(file)}`.replace("/.", "/");

/** The paths of all pages, such as `/tickets/[id]`. */
const pages = globSync("**/+page.svelte", { cwd: routes }).map(pathOf).toSorted();

/** What a link may lead to: routes, with any value in place of a parameter, and static files. */
const targets = [
  ...globSync("**/{+page.svelte,+server.ts,+page.server.ts}", { cwd: routes }).map(pathOf),
  ...readdirSync(join(web, "static")).map((file) => `/${file}`),
].map((path) => new RegExp(`^${path.replaceAll(/\[\w+\]/g, "[^/]+")}$`));

/** Pages that no other page links to: emails lead to them. */
const fromEmails = ["/confirm-email", "/reset-password", "/undo-email-change"];

/** A path for each page with a parameter: of a ticket on sale, and of an order for it. */
const examples: Record<string, string> = {};
/** For each page, the browser of a user who may open it. */
let browserFor: (page: string) => Browser;
const stranger = new Browser();
/** The paths that the pages link to. */
const linked = new Set<string>();

beforeAll(async () => {
  const [seller, buyer, administrator] = await Promise.all([
    newUser("seller"),
    newUser("buyer"),
    newAdministrator(),
  ]);
  const listing = {
    ...{ title: "All pages", price: "20", currency: "EUR", category: "concert", venue: "" },
    ...{ eventTime: "", code: "door", requestId: crypto.randomUUID() },
  };
  const ticket = await seller.follow("/tickets/new", listing);
  const held = await seller.follow("/tickets/new", { ...listing, requestId: crypto.randomUUID() });
  const page = await buyer.see(held);
  examples["/tickets/[id]"] = ticket;
  examples["/tickets/[id]/edit"] = `${ticket}/edit`;
  examples["/orders/[id]"] = await buyer.follow(`${held}?/buy`, {
    ticketVersion: field(page, "ticketVersion"),
    requestId: field(page, "requestId"),
  });
  browserFor = (path) => {
    if (path.startsWith("/admin")) return administrator;
    if (/^\/(sign-|forgotten|reset)/.test(path)) return stranger;
    return path.startsWith("/orders") ? buyer : seller;
  };
});

/** The paths of this site in the links of a page. */
const linksOn = (html: string, page: string): string[] =>
  [...html.matchAll(/<a\s[^>]*?href="([^"]*)"/g)]
    .map(([, href = ""]) => new URL(href.replaceAll("&amp;", "&"), `http://page.test${page}`))
    .filter(({ host }) => host === "page.test")
    .map(({ pathname }) => pathname);

describe.each(pages)("the page %s", (page) => {
  it("has one title and one heading, and its links lead to routes that exist", async () => {
    const path = examples[page] ?? page;
    expect(path, "Add an example for its parameter to `examples`.").not.toContain("[");
    const html = await browserFor(page).see(path);
    expect(html.match(/<title[ >]/g) ?? [], "Use <PageHead> once.").toHaveLength(1);
    expect(html.match(/<h1[ >]/g) ?? [], "A page has one <h1>.").toHaveLength(1);
    const links = linksOn(html, path);
    for (const link of links) linked.add(link);
    expect(links).toContain("/");
    const dead = links.filter((link) => !targets.some((target) => target.test(link)));
    expect(dead, "No route has the path of these links.").toEqual([]);
  });

  it("is open to everyone, asks for a sign-in, or is hidden from all but administrators", async () => {
    const response = await stranger.send(examples[page] ?? page);
    if (page.startsWith("/admin")) return expect(response.status).toBe(404);
    if (response.status === 200) return;
    expect(response.status).toBe(303);
    expect(response.headers.get("location")).toMatch(/^\/sign-in/);
  });
});

it("every page can be reached by a link", async () => {
  for (const link of linksOn(await stranger.see("/"), "/")) linked.add(link);
  const isLinked = (page: string): boolean => linked.has(examples[page] ?? page);
  const orphans = pages.filter((page) => !isLinked(page) && !fromEmails.includes(page));
  expect(orphans, "Link to it from SiteHeader.svelte or from another page.").toEqual([]);
});
