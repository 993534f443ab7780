import { error, type RequestEvent } from "@sveltejs/kit";

export type PageEvent = Pick<RequestEvent, "url" | "locals" | "request">;

/** Shows the error page. After a form it holds what was typed (unsent-form.ts), to be sent again. */
export function showErrorPage({ locals }: PageEvent, status: number, message: string): never {
  const { unsentForm } = locals;
  error(status, message, unsentForm ? { unsentForm } : {});
}
