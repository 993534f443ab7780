import { createConnection } from "mongoose";
import { expect, inject } from "vitest";
import "./setup.ts"; // For the type of what it provides.

/** A browser without JavaScript: a cookie jar that follows links and sends forms. */
export class Browser {
  readonly cookies = new Map<string, string>();
  readonly #url: string;

  /** The URL of the marketplace; by default the one that all tests share. */
  constructor(url: string = inject("marketplace").url) {
    this.#url = url;
  }

  async send(path: string, init: RequestInit = {}): Promise<Response> {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(this.#url + path, {
      ...init,
      redirect: "manual",
      headers: { ...(init.headers as Record<string, string>), ...(cookie ? { cookie } : {}) },
    });
    for (const line of response.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      if (/max-age=0/i.test(line) || value === "") this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return response;
  }

  /** The HTML of the page at a path. */
  async see(path: string): Promise<string> {
    const page = await this.send(path, { headers: { accept: "text/html" } });
    expect(page.status, path).toBe(200);
    return page.text();
  }

  submit(path: string, fields: Record<string, string>): Promise<Response> {
    const headers = {
      "content-type": "application/x-www-form-urlencoded",
      origin: this.#url,
      accept: "text/html",
    };
    return this.send(path, {
      method: "POST",
      headers,
      body: new URLSearchParams(fields).toString(),
    });
  }

  /** Sends a form and returns the address that it redirects to. */
  async follow(path: string, fields: Record<string, string>): Promise<string> {
    const response = await this.submit(path, fields);
    expect(response.status, `${path}: ${await response.clone().text()}`).toBe(303);
    return response.headers.get("location") ?? "";
  }
}

/** The browser of a new user who is signed in. */
export async function newUser(name: string): Promise<Browser> {
  const browser = new Browser();
  const email = `${name}-${crypto.randomUUID()}@example.com`;
  await browser.follow("/sign-up", { email, password: crypto.randomUUID() });
  return browser;
}

/** The browser of a new administrator who is signed in. */
export async function newAdministrator(): Promise<Browser> {
  const email = `admin-${crypto.randomUUID()}@example.com`;
  const password = crypto.randomUUID();
  await new Browser().follow("/sign-up", { email, password });
  const { mongoUrl } = inject("marketplace");
  const db = await createConnection(mongoUrl.replace("DATABASE", "auth")).asPromise();
  try {
    const administrator = { $set: { roles: ["ADMINISTRATOR"] } };
    await db.collection("users").updateOne({ emailKey: email }, administrator);
  } finally {
    await db.close();
  }
  const browser = new Browser();
  await browser.follow("/sign-in", { email, password });
  return browser;
}

/** The value of a hidden field on a page. */
export function field(page: string, name: string): string {
  const input = [...page.matchAll(/<input[^>]*>/g)]
    .map(([tag]) => tag)
    .find((tag) => tag.includes(`name="${name}"`));
  return /value="([^"]*)"/.exec(input ?? "")?.[1] ?? "";
}

const attribute = (tag: string, name: string): string | undefined =>
  new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1];

const plain = (text = ""): string =>
  text
    .replaceAll(/&#(\d+);/g, (_, code: string) => String.fromCodePoint(Number(code)))
    .replaceAll("&lt;", "<")
    .replaceAll("&gt;", ">")
    .replaceAll("&quot;", '"')
    .replaceAll("&amp;", "&");

/** The fields that a browser would send of a page's form without edits. */
export function formOn(page: string, action: string): Record<string, string> {
  const form = page
    .split("<form")
    .slice(1)
    .map((part) => part.split("</form>")[0] ?? "")
    .find((part) => plain(attribute(part, "action")).startsWith(action));
  if (form === undefined) throw new Error(`the page has no form with the action ${action}`);
  const fields: Record<string, string> = {};
  for (const [tag] of form.matchAll(/<input[^>]*>/g)) {
    const name = attribute(tag, "name");
    const isUnchecked = /type="(checkbox|radio)"/.test(tag) && !/\schecked/.test(tag);
    if (name && !isUnchecked) fields[name] = plain(attribute(tag, "value"));
  }
  for (const [, tag = "", text] of form.matchAll(/<textarea([^>]*)>([^<]*)/g))
    fields[attribute(tag, "name") ?? ""] = plain(text);
  for (const [, tag = "", inside = ""] of form.matchAll(/<select([^>]*)>(.*?)<\/select>/gs)) {
    const options = [...inside.matchAll(/<option([^>]*)>([^<]*)/g)];
    const chosen = options.find(([, option]) => /\sselected/.test(option ?? "")) ?? options[0];
    const [, option = "", label] = chosen ?? [];
    fields[attribute(tag, "name") ?? ""] = plain(attribute(option, "value") ?? label).trim();
  }
  return fields;
}
