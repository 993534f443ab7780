import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from "node:http2";
import { Code } from "@connectrpc/connect";
import { Access } from "@ticketing/proto/options/v1/options";
import { exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT, type JWTPayload } from "jose";
import { describe, expect, it } from "vitest";
import { ACCESS_COOKIE, REFRESH_COOKIE } from "../identity/cookies.ts";
import { ALGORITHM } from "../identity/tokens.ts";
import { callerIfAny } from "./authentication.ts";
import { as, testTokenRules, testPublicKey, token } from "../testing/tokens.ts";
import { refusal } from "../testing/refusal.ts";
import { testClient } from "../testing/client.ts";
import { testServer } from "../testing/server.ts";
import { wordService, type WordClient, type WordMethod } from "../testing/word-service.ts";

// None of these handlers checks the caller before it answers.
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

/** The response of a method, or the reason for which it is refused. */
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

const evil = generateKeyPairSync("ec", { namedCurve: "P-256" });
const evilJwk = evil.publicKey.export({ format: "jwk" });
const usual = { alg: ALGORITHM, kid: "test" };
/** Signed with an unknown key, with a header that would make it valid if the verifier trusted it. */
const strange = (header: object) =>
  new SignJWT(ann).setProtectedHeader({ ...usual, ...header } as never).sign(evil.privateKey);
const tail = Buffer.from(signature, "base64url");

function turned(bytes: Buffer): string {
  const copy = Buffer.from(bytes);
  copy[0] = (copy[0] ?? 0) ^ 1;
  return copy.toString("base64url");
}

const badTokens: [string, string][] = [
  ["one of an unpublished key", await strange({ kid: "other" })],
  ["one that contains its own key", await strange({ jwk: evilJwk })],
  ["one that contains the URL of its key", await strange({ jku: "https://evil.test/keys" })],
  ["one that contains a certificate", await strange({ x5c: ["MIIB"], x5u: "https://evil.test" })],
  ["one whose key ID is a path", await strange({ kid: "../../dev/null" })],
  [
    "one with an unknown critical header",
    `${btoa('{"alg":"ES256","kid":"test","crit":["b"],"b":1}')}.${body}.${signature}`,
  ],
  ["one whose signature is all zeros", `${head}.${body}.${Buffer.alloc(64).toString("base64url")}`],
  [
    "one whose signature is truncated",
    `${head}.${body}.${tail.subarray(0, 63).toString("base64url")}`,
  ],
  ["one whose signature is too long", `${head}.${body}.${signature}AA`],
  ["one whose first signature bit is flipped", `${head}.${body}.${turned(tail)}`],
  ["one with the signature of another token", `${head}.${claims({ sub: "bob" })}.${signature}`],
  ["one with two parts", `${head}.${body}`],
  ["one with four parts", `${good}.${signature}`],
  ["one with five parts, like an encrypted token", `${head}.${body}.${signature}.a.b`],
  ["one twice", `${good}${good}`],
  ["one whose algorithm is NONE", `${btoa('{"alg":"NONE","kid":"test"}')}.${body}.`],
  ["one whose header names another algorithm", `${btoa('{"alg":"ES384"}')}.${body}.${signature}`],
  ["one whose header is not JSON", `e.${body}.${signature}`],
  ["one whose claims are a list", `${head}.${btoa("[]")}.${signature}`],
  ["one whose end is a string", await token({ ...ann, exp: "never" as never })],
  ["one that expired long ago", await token({ ...ann, exp: 0 })],
  ["one whose begin is a string", await token({ ...ann, nbf: "now" as never })],
  ["one without an issuer", await token({ ...ann, iss: undefined as never })],
  ["one of an issuer with the same prefix", await token({ ...ann, iss: "ticketing.evil" })],
  ["one for other audiences", await token({ ...ann, aud: ["a", "b"] })],
  ["a refresh token", `${crypto.randomUUID()}.1.${signature}`],

  ["garbage", "garbage"],
  ["three strings", "not.a.token"],
  ["an empty one", ""],
  ["an unsigned one", new UnsecuredJWT(ann).encode()],
  ["one whose algorithm is none", `${btoa('{"alg":"none"}')}.${body}.${signature}`],
  [
    "one signed with our public key as a shared secret",
    await new SignJWT(ann)
      .setProtectedHeader({ alg: "HS256", kid: "test" })
      .sign(publicKeyAsSecret),
  ],
  ["one signed with another key", await token(ann, other.privateKey)],
  ["one with changed claims", `${head}.${claims({ sub: "bob" })}.${signature}`],
  ["one without its signature", `${head}.${body}.`],
  ["one that has expired", await token({ ...ann, exp: now - 10 })],
  ["one that never expires", await token({ ...ann, exp: undefined as never })],
  ["one that is not valid yet", await token({ ...ann, nbf: now + 60 })],
  ["one of another issuer", await token({ ...ann, iss: "elsewhere" })],
  ["one for another audience", await token({ ...ann, aud: "internal" })],
  ["one without an audience", await token({ ...ann, aud: undefined as never })],
  ["one without a user", await token({ ...ann, sub: undefined as never })],
  ["one with an empty user ID", await token({ ...ann, sub: "" })],
  ["one whose user ID is a number", await token({ ...ann, sub: 7 as never })],
];

describe("the caller", () => {
  it("is the user of a valid token, in a header or in a cookie", async () => {
    const ways: Record<string, string>[] = [
      { authorization: `Bearer ${good}` },
      { authorization: `bearer ${good}` },
      { cookie: `${ACCESS_COOKIE}=${good}` },
      { cookie: `theme=dark; ${ACCESS_COOKIE}=${good}; a=b` },
    ];
    for (const headers of ways) {
      expect(await outcome("signedIn", headers)).toBe("ann");
      expect(await outcome("open", headers)).toBe("ann");
    }
  });

  it("is anonymous without a token", async () => {
    expect(await outcome("open")).toBe("a stranger");
    expect(await outcome("signedIn")).toBe("UNAUTHENTICATED");
    expect((await refusal(client["signedIn"]?.({}) as never)).code).toBe(Code.Unauthenticated);
  });

  it.each(badTokens)("is anonymous with a header of %s (P43)", async (_, bad) => {
    const headers = { authorization: `Bearer ${bad}` };
    expect(await outcome("signedIn", headers)).toBe("UNAUTHENTICATED");
    expect(await outcome("open", headers)).toBe("a stranger");
  });

  it.each(badTokens)("is anonymous with a cookie of %s", async (_, bad) => {
    const headers = { cookie: `${ACCESS_COOKIE}=${bad}` };
    expect(await outcome("signedIn", headers)).toBe("UNAUTHENTICATED");
    expect(await outcome("open", headers)).toBe("a stranger");
  });

  it.each([
    ["of another scheme", "Basic YW5uOnNlY3JldA=="],
    ["without a token", "Bearer"],
    ["with an unknown scheme", `Token ${good}`],
    ["that contains only the token", good],
    ["with two tokens", `Bearer ${good} ${good}`],
  ])("is anonymous with a header %s", async (_, authorization) => {
    expect(await outcome("open", { authorization })).toBe("a stranger");
    expect(await outcome("signedIn", { authorization })).toBe("UNAUTHENTICATED");
  });

  it("is determined by the header if there is a cookie too", async () => {
    const authorization = `Bearer ${await token(ann)}`;
    const cookie = `${ACCESS_COOKIE}=${await token({ ...ann, sub: "bob" })}`;
    expect(await outcome("signedIn", { authorization, cookie })).toBe("ann");
    expect(await outcome("signedIn", { authorization, cookie: `${ACCESS_COOKIE}=x` })).toBe("ann");
    expect(await outcome("signedIn", { authorization: "Bearer x.y.z", cookie })).toBe(
      "UNAUTHENTICATED",
    );
  });

  it("is determined by one cookie name: under TLS by the one with the host prefix", async () => {
    const bob = await token({ ...ann, sub: "bob" });
    const [plain, pinned] = [`${ACCESS_COOKIE}=${good}`, `__Host-${ACCESS_COOKIE}=${bob}`];
    const secure = testClient(service, routes, undefined, {
      ...testTokenRules,
      secureCookies: true,
    });
    for (const [asked, only, other, who] of [
      [client, plain, pinned, "ann"],
      [secure as unknown as WordClient, pinned, plain, "bob"],
    ] as const) {
      const call = (cookie: string) => asked["open"]!({}, { headers: { cookie } });
      for (const both of [`${only}; ${other}`, `${other}; ${only}`, only]) {
        expect((await call(both)).value).toBe(who);
      }
      expect((await call(other)).value).toBe("a stranger");
    }
  });

  it("is not determined by other cookies or headers", async () => {
    const headers = { cookie: `${REFRESH_COOKIE}=${good}; x${ACCESS_COOKIE}=${good}` };
    expect(await outcome("signedIn", headers)).toBe("UNAUTHENTICATED");
    expect(await outcome("signedIn", { "x-user-id": "ann", "x-jwt-payload": claims({}) })).toBe(
      "UNAUTHENTICATED",
    );
  });
});

describe("a request to the service's own port", async () => {
  const server = await testServer(routes);
  const path = `/${service.typeName}/SignedIn`;

  /** The status of a call with exactly these headers, and the user that the handler sees. */
  async function ask(headers: OutgoingHttpHeaders, query = ""): Promise<[number, string]> {
    const session = connect(server.url);
    const stream = session.request({
      ...{ ":method": "POST", ":path": path + query, "content-type": "application/json" },
      ...headers,
    });
    stream.end('""');
    const [answer] = (await once(stream, "response")) as [IncomingHttpHeaders];
    let text = "";
    for await (const chunk of stream) text += String(chunk);
    session.destroy();
    return [Number(answer[":status"]), text];
  }
  const bob = await token({ ...ann, sub: "bob" });

  it.each(badTokens)("is refused with %s: header, cookie, both, or query", async (_, bad) => {
    const [authorization, cookie] = [`Bearer ${bad}`, `${ACCESS_COOKIE}=${bad}`];
    const ways = [{ authorization }, { cookie }, { authorization, cookie }];
    // HTTP/2 does not allow a header value that ends with a space, so it never arrives.
    if (bad !== "") ways.push({ authorization, cookie: `${ACCESS_COOKIE}=${good}` });
    for (const headers of ways) {
      expect((await ask(headers))[0]).toBe(401);
    }
    expect((await ask({}, `?access_token=${encodeURIComponent(bad)}`))[0]).toBe(401);
  });

  it.each<[string, OutgoingHttpHeaders, string?]>([
    ["no credentials", {}],
    ["a valid token in the query", {}, `?access_token=${good}&token=${good}`],
    ["a valid token in another header", { "x-access-token": good, "proxy-authorization": good }],
    ["headers that name a user", { "x-user-id": "ann", "x-user-role": "administrator" }],
    ["headers that only an edge sets", { "x-jwt-payload": claims({}), "x-forwarded-user": "ann" }],
    ["two tokens, separated by a space", { authorization: `Bearer ${good} ${bob}` }],
    ["two tokens, separated by a comma", { authorization: `Bearer ${good}, Bearer ${bob}` }],
    [
      "the same token twice, separated by a comma",
      { authorization: `Bearer ${good},Bearer ${good}` },
    ],
    [
      "an empty header and a valid cookie",
      { authorization: "", cookie: `${ACCESS_COOKIE}=${good}` },
    ],
    [
      "another scheme and a valid cookie",
      { authorization: "Basic YTpi", cookie: `${ACCESS_COOKIE}=${good}` },
    ],
    ["a token in quotes", { authorization: `Bearer "${good}"` }],
    ["a valid token in the refresh cookie", { cookie: `${REFRESH_COOKIE}=${good}` }],
    ["a valid token in the TLS cookie, without TLS", { cookie: `__Host-${ACCESS_COOKIE}=${good}` }],
    [
      "a valid token in a cookie name of another case",
      { cookie: `${ACCESS_COOKIE.toUpperCase()}=${good}` },
    ],
    [
      "a valid token in a cookie whose name has another prefix",
      { cookie: `a${ACCESS_COOKIE}=${good}` },
    ],
    [
      "an invalid cookie before a valid one",
      { cookie: `${ACCESS_COOKIE}=x; ${ACCESS_COOKIE}=${good}` },
    ],
    [
      "an invalid cookie before a valid one, in separate headers",
      { cookie: [`${ACCESS_COOKIE}=x`, `${ACCESS_COOKIE}=${good}`] },
    ],
  ])("is refused with %s", async (_, headers, query) => {
    expect((await ask(headers, query))[0]).toBe(401);
  });

  it.each<[string, OutgoingHttpHeaders]>([
    [
      "a header and the cookie of another user",
      { authorization: `Bearer ${good}`, cookie: `${ACCESS_COOKIE}=${bob}` },
    ],
    ["two cookies", { cookie: `${ACCESS_COOKIE}=${good}; ${ACCESS_COOKIE}=${bob}` }],
    ["a header and an untrusted user ID", { authorization: `Bearer ${good}`, "x-user-id": "bob" }],
  ])("has exactly one user with %s", async (_, headers) => {
    const [status, text] = await ask(headers);
    expect(status).toBe(200);
    expect(text).toContain("ann");
    expect(text).not.toContain("bob");
  });
});

describe("access", () => {
  it.each([
    ["open", "ann", "root"],
    ["signedIn", "ann", "root"],
    ["administrator", "NOT_ALLOWED", "root"],
    ["internal", "NOT_ALLOWED", "NOT_ALLOWED"],
    ["unspecified", "NOT_ALLOWED", "NOT_ALLOWED"],
    ["silent", "NOT_ALLOWED", "NOT_ALLOWED"],
  ])(
    "follows the contract of %s, although its handler does not check it",
    async (method, user, admin) => {
      expect(await outcome(method, (await as("ann")).headers)).toBe(user);
      expect(await outcome(method, (await as("root", "administrator")).headers)).toBe(admin);
      expect(await outcome(method)).toBe(method === "open" ? "a stranger" : "UNAUTHENTICATED");
    },
  );

  it("is not granted by roles that are not a list of strings", async () => {
    for (const roles of ["administrator", { administrator: true }, [["administrator"]]]) {
      const headers = { authorization: `Bearer ${await token({ ...ann, roles })}` };
      expect(await outcome("administrator", headers)).toBe("NOT_ALLOWED");
    }
  });
});
