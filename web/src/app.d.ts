import type { Api } from "#lib/server/api/api.ts";
import type { UnsentForm } from "#lib/server/pages/unsent-form.ts";
import type { Preferences } from "#lib/preferences.svelte.ts";

declare global {
  namespace App {
    interface Error {
      message: string;
      /** What was typed into the form whose answer this is. */
      typed?: UnsentForm;
    }
    interface Locals {
      /** The backend, on behalf of this request's visitor. */
      api: Api;
      /** Who is signed in. For what a page shows only: the services check every call themselves. */
      user: User | undefined;
      /** Ends the session in this browser, whatever auth says. */
      forget: () => void;
      /** Whether there is a session that could not be renewed, by a fault of ours. */
      isUncertain: boolean;
      /** What was typed into the form that is being answered. */
      typed?: UnsentForm;
      locale: string;
      timeZone: string;
    }
    interface User {
      id: string;
      /** Absent while auth cannot be asked. */
      email?: string;
      /** Absent while auth cannot be asked. */
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
