import { onSaved } from "#runtime/store/aggregate.ts";
import { fromBinary } from "@bufbuild/protobuf";
import { Role, UserStatus } from "@ticketing/proto/auth/v1/user";
import { UserCreatedSchema } from "@ticketing/proto/auth/v1/user_events";
import { describe, expect, it } from "vitest";
import { relay } from "#runtime/messaging/relay.ts";
import { eventually } from "#runtime/testing/eventually.ts";
import { silentLog } from "#runtime/testing/log.ts";
import { testBroker } from "#runtime/testing/broker.ts";
import { somebody, testAuth } from "./testing.ts";
import { emailKey } from "./email-address.ts";
import { register } from "./sign-in/sign-up.ts";
import { toUserMessage } from "./user-message.ts";

describe("an email address", () => {
  it.each([
    ["Ann@Example.COM", "ann@example.com"],
    ["ANN@\u212Aite.example.com", "ann@\u212Aite.example.com"], // A Kelvin sign is not a K.
  ])("%s is compared as %s", (typed, key) => {
    expect(emailKey(typed)).toBe(key);
  });
});

describe("a new account", async () => {
  const { users, client } = await testAuth();

  it("is published with id and roles, and without the address", async () => {
    const subscriptions = { listener: [UserCreatedSchema] };
    const broker = await testBroker("auth", subscriptions);
    const running = relay(users, { service: "auth", broker, subscriptions, log: silentLog });
    onSaved(users, running.enqueue);
    const { user } = await client.signUp(somebody());
    const message = await eventually(
      () => broker.raw.get("listener", { noAck: true }),
      "the event",
    );
    expect(message.properties.type).toBe(UserCreatedSchema.typeName);
    expect(fromBinary(UserCreatedSchema, message.content)).toMatchObject({
      user: { id: user?.id, roles: [], status: UserStatus.ACTIVE, version: 1n },
    });
    expect(JSON.stringify(message)).not.toMatch(/example\.com/i);
    expect(message.content.toString("latin1")).not.toMatch(/example\.com/i);
    await running.close();
  });

  it("has its roles in the contract's enum", () => {
    const user = new users({
      email: "a@b.c",
      emailKey: "a@b.c",
      passwordHash: "x",
      roles: ["ADMINISTRATOR"],
    });
    register(user);
    expect(toUserMessage(user)).toMatchObject({
      roles: [Role.ADMINISTRATOR],
      status: UserStatus.ACTIVE,
    });
  });
});
