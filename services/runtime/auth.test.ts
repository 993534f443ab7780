import { Code } from "@connectrpc/connect";
import { Access } from "@ticketing/proto/options/v1/options";
import { exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT, type JWTPayload } from "jose";
import { describe, expect, it } from "vitest";
import { ACCESS_COOKIE, ALGORITHM, callerIfAny, REFRESH_COOKIE } from "./auth.ts";
import {
  as,
  refusal,
  testClient,
  testPublicKey,
  token,
  wordService,
  type WordClient,
  type WordMethod,
} from "./testing.ts";

// None of these handlers asks who is calling before it answers.
const answer: WordMethod["answer"] = (_, ctx) => callerIfAny(ctx)?.id ?? "a stranger";
const { service, routes } = wordService({
  Open: { access: Access.ANYONE, answer },
  SignedIn: { access: Access.SIGNED_IN, answer },
  Administrator: { access: Access.ADMINISTRATOR, answer },
  Internal: { access: Access.INTERNAL, answer },
  Unspecified: { access: Access.UNSPECIFIED, answer },
  Silent: { answer },
});
const client = testClient(service, routes) as unknown as WordClient;

/** What a method answers, or the reason for which it refuses. */
async function outcome(method: string, headers: Record<string, string> = {}): Promise<string> {
  const call =
    client[method]?.({}, { headers }) ?? Promise.reject(new Error(`no method ${method}`));
  return call.then(
    ({ value }) => value,
    async () => (await refusal(call)).reason ?? "no reason",
  );
}

const now = Math.floor(Date.now() / 1000);
const ann: JWTPayload = {
  sub: "ann",
  iss: "ticketing",
  aud: "ticketing",
  iat: now,
  exp: now + 300,
};
const other = await generateKeyPair(ALGORITHM);
const publicKeyAsSecret = new TextEncoder().encode(await exportSPKI(testPublicKey));
const good = await token(ann);
const [head, body, signature] = good.split(".") as [string, string, string];
const claims = (change: object): string =>
  Buffer.from(JSON.stringify({ ...ann, ...change })).toString("base64url");

const badTokens: [string, string][] = [
  ["garbage", "garbage"],
  ["three words", "not.a.token"],
  ["an empty one", ""],
  ["one signed with nothing", new UnsecuredJWT(ann).encode()],
  ["one that says it is signed with nothing", `${btoa('{"alg":"none"}')}.${body}.${signature}`],
  [
    "one signed with our public key as a shared secret",
    await new SignJWT(ann)
      .setProtectedHeader({ alg: "HS256", kid: "test" })
      .sign(publicKeyAsSecret),
  ],
  ["one signed with another's key", await token(ann, other.privateKey)],
  ["one whose claims were changed", `${head}.${claims({ sub: "bob" })}.${signature}`],
  ["one without its signature", `${head}.${body}.`],
  ["one that has expired", await token({ ...ann, exp: now - 10 })],
  ["one that never expires", await token({ ...ann, exp: undefined as never })],
  ["one that is not valid yet", await token({ ...ann, nbf: now + 60 })],
  ["one of another issuer", await token({ ...ann, iss: "elsewhere" })],
  ["one for another audience", await token({ ...ann, aud: "internal" })],
  ["one without an audience", await token({ ...ann, aud: undefined as never })],
  ["one without a user", await token({ ...ann, sub: undefined as never })],
  ["one whose user has no name", await token({ ...ann, sub: "" })],
  ["one whose user is a number", await token({ ...ann, sub: 7 as never })],
];

describe("who is calling", () => {
  it("is who a good token says, from the header or from the cookie", async () => {
    const ways: Record<string, string>[] = [
      { authorization: `Bearer ${good}` },
      { authorization: `bearer ${good}` },
      { cookie: `${ACCESS_COOKIE}=${good}` },
      { cookie: `theme=dark; __Host-${ACCESS_COOKIE}=${good}; a=b` },
    ];
    for (const headers of ways) {
      expect(await outcome("signedIn", headers)).toBe("ann");
      expect(await outcome("open", headers)).toBe("ann");
    }
  });

  it("is a stranger without a token", async () => {
    expect(await outcome("open")).toBe("a stranger");
    expect(await outcome("signedIn")).toBe("NOT_SIGNED_IN");
    expect((await refusal(client["signedIn"]?.({}) as never)).code).toBe(Code.Unauthenticated);
  });

  it.each(badTokens)("is refused everywhere with a header of %s", async (_, bad) => {
    const headers = { authorization: `Bearer ${bad}` };
    expect(await outcome("signedIn", headers)).toBe("TOKEN_REFUSED");
    expect(await outcome("open", headers)).toBe("TOKEN_REFUSED");
  });

  it.each(badTokens)("is a stranger with a cookie of %s", async (_, bad) => {
    const headers = { cookie: `${ACCESS_COOKIE}=${bad}` };
    expect(await outcome("signedIn", headers)).toBe("NOT_SIGNED_IN");
    expect(await outcome("open", headers)).toBe("a stranger");
  });

  it.each([
    ["of another kind", "Basic YW5uOnNlY3JldA=="],
    ["without a token", "Bearer"],
    ["with another word before the token", `Token ${good}`],
    ["that is the bare token", good],
    ["with two tokens", `Bearer ${good} ${good}`],
  ])("is refused with a header %s", async (_, authorization) => {
    expect(await outcome("open", { authorization })).toBe("TOKEN_REFUSED");
  });

  it("is said by the header alone where there are both", async () => {
    const authorization = `Bearer ${await token(ann)}`;
    const cookie = `${ACCESS_COOKIE}=${await token({ ...ann, sub: "bob" })}`;
    expect(await outcome("signedIn", { authorization, cookie })).toBe("ann");
    expect(await outcome("signedIn", { authorization, cookie: `${ACCESS_COOKIE}=x` })).toBe("ann");
    expect(await outcome("signedIn", { authorization: "Bearer x.y.z", cookie })).toBe(
      "TOKEN_REFUSED",
    );
  });

  it("is said by the cookie that is pinned to the host where there are two", async () => {
    const bob = await token({ ...ann, sub: "bob" });
    const planted = `${ACCESS_COOKIE}=${bob}; __Host-${ACCESS_COOKIE}=${await token(ann)}`;
    expect(await outcome("signedIn", { cookie: planted })).toBe("ann");
  });

  it("is not said by other cookies or headers", async () => {
    const headers = { cookie: `${REFRESH_COOKIE}=${good}; x${ACCESS_COOKIE}=${good}` };
    expect(await outcome("signedIn", headers)).toBe("NOT_SIGNED_IN");
    expect(await outcome("signedIn", { "x-user-id": "ann", "x-jwt-payload": claims({}) })).toBe(
      "NOT_SIGNED_IN",
    );
  });
});

describe("who may call", () => {
  it.each([
    ["open", "ann", "root"],
    ["signedIn", "ann", "root"],
    ["administrator", "NOT_ALLOWED", "root"],
    ["internal", "NOT_ALLOWED", "NOT_ALLOWED"],
    ["unspecified", "NOT_ALLOWED", "NOT_ALLOWED"],
    ["silent", "NOT_ALLOWED", "NOT_ALLOWED"],
  ])(
    "is what the contract of %s says, though its handler never asks",
    async (method, user, admin) => {
      expect(await outcome(method, (await as("ann")).headers)).toBe(user);
      expect(await outcome(method, (await as("root", "administrator")).headers)).toBe(admin);
      expect(await outcome(method)).toBe(method === "open" ? "a stranger" : "NOT_SIGNED_IN");
    },
  );

  it("is not decided by roles that are no list of words", async () => {
    for (const roles of ["administrator", { administrator: true }, [["administrator"]]]) {
      const headers = { authorization: `Bearer ${await token({ ...ann, roles })}` };
      expect(await outcome("administrator", headers)).toBe("NOT_ALLOWED");
    }
  });
});
