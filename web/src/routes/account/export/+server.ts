import { refused, signedIn } from "#lib/server/answers.ts";
import { exportData } from "#lib/server/export.ts";
import type { RequestHandler } from "./$types";

export const GET: RequestHandler = async (event) => {
  signedIn(event);
  const data = await exportData(event.locals.api).catch(refused(event));
  return new Response(`${JSON.stringify(data, undefined, 2)}\n`, {
    headers: {
      "content-type": "application/json",
      "content-disposition": 'attachment; filename="ticketing-account.json"',
    },
  });
};
