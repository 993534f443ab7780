/** How many entries of an Accept-Language header are tried. */
const MAX_LANGUAGES = 10;

/** The first language of an Accept-Language header that Intl supports; else English. */
export function preferredLocale(header: string | null): string {
  for (const entry of (header ?? "").split(",").slice(0, MAX_LANGUAGES)) {
    const tag = entry.split(";")[0]?.trim() ?? "";
    try {
      const [supported] = Intl.DateTimeFormat.supportedLocalesOf(tag);
      if (supported) return supported;
    } catch {
      // "*" and invalid tags: try the next entry.
    }
  }
  return "en";
}
