import { AuthService } from "@ticketing/proto/auth/v1/auth_service";
import { expect, it } from "vitest";
import { sendGarbage } from "#runtime/testing/garbage.ts";
import { testServer } from "#runtime/testing/server.ts";
import { from, inBody, somebody, testAuth } from "./testing.ts";

// A request without fields cannot be invalid.
const methods = AuthService.methods.filter(({ input }) => input.fields.length > 0);

it("random requests break nothing, and sign nobody in", { timeout: 120_000 }, async () => {
  const { client, routes, users, sessions } = await testAuth({
    perAccount: 10_000,
    perAddress: 10_000,
  });
  const server = await testServer(routes);
  const who = somebody();
  const { user, tokens } = await client.signUp(inBody(who));
  await sendGarbage(server, { ...AuthService, methods } as typeof AuthService, {
    headers: from(crypto.randomUUID()).headers,
    known: [who.email, tokens?.refreshToken ?? "", user?.id ?? ""],
    good: {
      SignUp: { ...somebody() },
      SignIn: { email: who.email, password: "wrong password" },
      SignOut: {},
      RefreshSession: { refreshToken: "garbage" },
    },
    runs: 100,
    seed: 1,
  });

  const made = await users.find({}, { _id: 1 }).lean();
  const strangers = { userId: { $nin: made.map(({ _id }) => _id) } };
  expect(await sessions.countDocuments(strangers)).toBe(0);
  expect(await sessions.countDocuments({ userId: user?.id ?? "" })).toBeLessThanOrEqual(1);
  await client.signIn(who);
});
