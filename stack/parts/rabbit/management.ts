/** Where RabbitMQ's management listens, and who may use it. */
export interface Management {
  readonly url: string;
  readonly user: string;
  readonly password: string;
}

/** Asks RabbitMQ's management API, and gives its answer, if it has one. */
export async function manage(
  { url, user, password }: Management,
  method: "GET" | "PUT" | "DELETE",
  path: string,
  body?: unknown,
): Promise<unknown> {
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
  const answer = await fetch(`${url}/api/${path}`, {
    method,
    headers: { authorization, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`RabbitMQ: ${method} ${path}: ${answer.status} ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}
