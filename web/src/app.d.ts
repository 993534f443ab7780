import type { Preferences } from "#lib/preferences.svelte.ts";
import type { Api } from "#lib/server/api/api.ts";
import type { UnsentForm } from "#lib/server/pages/unsent-form.ts";

declare global {
  namespace App {
    interface Error {
      message: string;
      /** The form that this error page responds to. */
      unsentForm?: UnsentForm;
    }
    interface Locals {
      /** The backend's clients for this request. */
      api: Api;
      /** The signed-in user, only for what a page shows: the services authorize every call themselves. */
      user: User | undefined;
      /** Deletes the session's cookies in this browser, even if auth is unavailable. */
      clearSession: () => void;
      /** Whether a session could not be renewed, by a fault of ours. */
      isSessionUncertain: boolean;
      /** The form that is being processed. */
      unsentForm?: UnsentForm;
      locale: string;
      timeZone: string;
    }
    interface User {
      id: string;
      /** Absent while auth is unavailable. */
      email?: string;
      /** Absent while auth is unavailable. */
      emailConfirmed?: boolean;
      isAdministrator?: boolean;
    }
    interface PageData {
      user?: User | undefined;
      preferences?: Preferences;
    }
  }
}

export {};
