import { page } from "$app/state";

/** How the visitor reads times and amounts. */
export interface Visitor {
  locale: string;
  timeZone: string;
}

// Set in the browser alone; on the server it would belong to every visitor at once.
let ownZone = $state<string>();

export const visitor: Visitor = {
  get locale() {
    return page.data.visitor?.locale ?? "en";
  },
  get timeZone() {
    return ownZone ?? page.data.visitor?.timeZone ?? "UTC";
  },
};

/** Takes the browser's time zone, and tells the server for the next page. */
export function learnTimeZone(): void {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  if (!timeZone || timeZone === visitor.timeZone) return;
  ownZone = timeZone;
  document.cookie = `time-zone=${encodeURIComponent(timeZone)}; path=/; max-age=31536000; samesite=lax`;
}
