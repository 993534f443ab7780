/** The address and the credentials of RabbitMQ's management API. */
export interface Management {
  readonly url: string;
  readonly user: string;
  readonly password: string;
}

/** Calls RabbitMQ's management API. Returns the body of the response, if it has one. */
export async function manage(
  { url, user, password }: Management,
  method: "GET" | "PUT" | "DELETE",
  path: string,
  body?: unknown,
): Promise<unknown> {
  const authorization = `Basic ${Buffer.from(`${user}:${password}`).toString("base64")}`;
  const response = await fetch(`${url}/api/${path}`, {
    method,
    headers: { authorization, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`RabbitMQ: ${method} ${path}: ${response.status} ${text}`);
  return text === "" ? undefined : JSON.parse(text);
}
