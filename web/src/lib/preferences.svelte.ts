import { page } from "$app/state";

/** How the visitor reads times and amounts. */
export interface Preferences {
  locale: string;
  timeZone: string;
}

// Set in the browser alone; on the server it would belong to every visitor at once.
let ownZone = $state<string>();

export const preferences: Preferences = {
  get locale() {
    return page.data.preferences?.locale ?? "en";
  },
  get timeZone() {
    return ownZone ?? page.data.preferences?.timeZone ?? "UTC";
  },
};

/** Takes the browser's time zone, and tells the server for the next page. */
export function detectTimeZone(): void {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  if (!timeZone || timeZone === preferences.timeZone) return;
  ownZone = timeZone;
  document.cookie = `time-zone=${encodeURIComponent(timeZone)}; path=/; max-age=31536000; samesite=lax`;
}
