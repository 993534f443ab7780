import { exportAccountData } from "#lib/server/account-export.ts";
import { requireUser } from "#lib/server/pages/access.ts";
import { toErrorPage } from "#lib/server/pages/load-errors.ts";
import type { RequestHandler } from "./$types";

export const GET: RequestHandler = async (event) => {
  requireUser(event);
  const data = await exportAccountData(event.locals.api).catch(toErrorPage(event));
  return new Response(`${JSON.stringify(data, undefined, 2)}\n`, {
    headers: {
      "content-type": "application/json",
      "content-disposition": 'attachment; filename="ticketing-account.json"',
    },
  });
};
