import { page } from "$app/state";

/** How the user reads times and amounts. */
export interface Preferences {
  locale: string;
  timeZone: string;
}

const COOKIE_MAX_AGE_SECONDS = 31_536_000;

// Set only in the browser. On the server it would be shared by all users.
let browserTimeZone = $state<string>();

export const preferences: Preferences = {
  get locale() {
    return page.data.preferences?.locale ?? "en";
  },
  get timeZone() {
    return browserTimeZone ?? page.data.preferences?.timeZone ?? "UTC";
  },
};

/** Uses the browser's time zone, and stores it in a cookie for the server's next page. */
export function detectTimeZone(): void {
  const { timeZone } = new Intl.DateTimeFormat().resolvedOptions();
  if (!timeZone || timeZone === preferences.timeZone) return;
  browserTimeZone = timeZone;
  document.cookie = `time-zone=${encodeURIComponent(timeZone)}; path=/; max-age=${COOKIE_MAX_AGE_SECONDS}; samesite=lax`;
}
