import type { Listing } from "../ticket.ts";

// What people type, and what a title says, in a form in which both are the same: "Konzert in ZÜRICH",
// "zurich" and "Zürich-Nord" share a term. Each term of a query begins a term of the ticket.

/** Letters that Unicode does not decompose, although people type them differently. */
const SPELLINGS: Readonly<Record<string, string>> = {
  ß: "ss",
  æ: "ae",
  œ: "oe",
  ø: "o",
  đ: "d",
  ð: "d",
  þ: "th",
  ł: "l",
  ħ: "h",
  ı: "i",
  ς: "σ",
};
const SPELLED = new RegExp(`[${Object.keys(SPELLINGS).join("")}]`, "gu");

/** Accents and vowel points. The vowel signs of other scripts are a part of the word. */
const ACCENTS = /[\u0300-\u036F\u0591-\u05C7\u064B-\u065F\u0670]/gu;
const APOSTROPHES = /['’‘ʼ`´]/u;
const JOINTS = /['’‘ʼ`´\-‐‑]+/u;

const CHUNK = /[\p{L}\p{N}\p{M}'’‘ʼ`´\-‐‑]+|\p{Extended_Pictographic}/gu;
/** Scripts that put no spaces between words. */
const UNSPACED = String.raw`\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}`;
const RUN = new RegExp(`[${UNSPACED}\\p{M}ー]+|[^${UNSPACED}]+`, "gu");
const STARTS_UNSPACED = new RegExp(`^[${UNSPACED}]`, "u");

const normalize = (text: string): string =>
  text
    .toLowerCase()
    .normalize("NFKD")
    .replace(ACCENTS, "")
    .replace(SPELLED, (letter) => SPELLINGS[letter] ?? letter)
    .normalize("NFC");

/** Words between spaces and punctuation, and parts of one script within them. */
const chunksOf = (text: string): string[] =>
  (normalize(text).match(CHUNK) ?? []).flatMap((chunk) => chunk.match(RUN) ?? []);

const joined = (chunk: string): string => chunk.split(JOINTS).join("");

const pairs = (characters: readonly string[]): string[] =>
  characters.slice(1).map((second, index) => `${characters[index]}${second}`);

/** Without spaces, each two neighbouring characters are a term; the last one begins a query, too. */
function termsOfChunk(chunk: string): string[] {
  if (STARTS_UNSPACED.test(chunk)) {
    const characters = [...chunk];
    return [...pairs(characters), ...characters.slice(-1)];
  }
  const parts = chunk.split(JOINTS).filter(Boolean);
  return parts.length > 1 ? [joined(chunk), ...parts] : parts;
}

/** The terms that a text is found by. "Rock'n'Roll" is found by "rocknroll", and by each of its parts. */
export const termsOf = (text: string): string[] => [
  ...new Set(chunksOf(text).flatMap(termsOfChunk)),
];

function queryTermsOfChunk(chunk: string): string[] {
  if (STARTS_UNSPACED.test(chunk)) {
    const characters = [...chunk];
    return characters.length === 1 ? characters : pairs(characters);
  }
  // A hyphen may be typed as a space or left out, an apostrophe only left out.
  const words = chunk.split(/[-‐‑]+/u).filter(Boolean);
  return words.map((word) => word.split(APOSTROPHES).join("")).filter(Boolean);
}

/** The terms that a ticket must have, each at least as the beginning of one of its own. */
export const queryTerms = (query: string): string[] => [
  ...new Set(chunksOf(query).flatMap(queryTermsOfChunk)),
];

/** Marks the terms of a venue, which are searched with all others and by themselves. */
export const atVenue = (term: string): string => `@${term}`;
export const inCategory = (category: string): string => `category:${category}`;

/** What a ticket is found by; stored with it, as one index has all of it. */
export function searchTerms({
  title,
  venue = "",
  category,
}: Pick<Listing, "title" | "venue" | "category">): string[] {
  const place = termsOf(venue);
  const kind = category ? [...termsOf(category), inCategory(category)] : [];
  return [...new Set([...termsOf(title), ...place, ...place.map(atVenue), ...kind])];
}
