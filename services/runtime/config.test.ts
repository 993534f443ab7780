import { afterEach, describe, expect, it, vi } from "vitest";
import { z } from "zod";
import { booleanVariable, parseConfig, serviceConfig, storeConfig, tokenConfig } from "./config.ts";

const schema = serviceConfig.extend({ ...storeConfig, ...tokenConfig, SECURE: booleanVariable });
const good = {
  AMQP_URI: "amqp://orders:secret@localhost/ticketing",
  MONGODB_URI: "mongodb://orders:secret@localhost/orders",
  JWKS_URI: "http://auth:9001/.well-known/jwks.json",
  REDIS_URI: "redis://:secret@localhost",
  SECURE: "false",
};

afterEach(() => void vi.restoreAllMocks());

/** The exit code of the process, and what it prints. */
function ending(env: Record<string, string>): { code: unknown; words: string } {
  let words = "";
  vi.spyOn(process.stderr, "write").mockImplementation((text) => {
    words += String(text);
    return true;
  });
  const exit = vi.spyOn(process, "exit").mockImplementation(() => {
    throw new Error("ended");
  });
  expect(() => parseConfig(schema, env)).toThrow("ended");
  return { code: exit.mock.calls[0]?.[0], words };
}

describe("the environment of a service", () => {
  it("is parsed, with defaults for optional variables", () => {
    expect(parseConfig(schema, { ...good, RPC_PORT: "8000" })).toMatchObject({
      HOST: "0.0.0.0",
      RPC_PORT: 8000,
      HTTP_PORT: 9001,
      LOG_LEVEL: "info",
      TOKEN_AUDIENCE: "ticketing",
      SECURE: false,
    });
  });

  it("ends the process if it is invalid, with the names of all invalid variables and no values", () => {
    const { code, words } = ending({
      ...good,
      AMQP_URI: "http://orders:secret@localhost",
      MONGODB_URI: "secret",
      RPC_PORT: "70000",
      LOG_LEVEL: "loud",
      SECURE: "yes",
    });
    expect(code).toBe(78);
    for (const name of ["AMQP_URI", "MONGODB_URI", "RPC_PORT", "LOG_LEVEL", "SECURE"]) {
      expect(words).toContain(name);
    }
    expect(words).not.toMatch(/JWKS_URI|secret/);
  });

  it("ends the process if a required variable is missing", () => {
    expect(ending({}).words).toMatch(/AMQP_URI[^]*MONGODB_URI[^]*JWKS_URI/);
  });

  it("has no default for a secret", () => {
    const defaulted = Object.keys(schema.shape).filter((name) => !(name in good));
    const parsed = z.object(schema.shape).parse(good);
    expect(
      defaulted.filter((name) => name in parsed && /KEY|SECRET|PASSWORD|URI/.test(name)),
    ).toEqual([]);
  });
});
