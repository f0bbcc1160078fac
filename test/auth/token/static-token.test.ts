import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { newStaticToken, sha256Of, staticTokens } from "../../../src/auth/token/static-token.ts";
import { thrownBy } from "../../support/matchers.ts";

const startMs = Date.parse("2026-03-01T12:00:00Z");

it("a new token has 32 random bytes, and its hash is that of all of its text", () => {
  const tokens = Array.from({ length: 50 }, newStaticToken);
  for (const { token, sha256 } of tokens) {
    expect(token).toMatch(/^fkt_[A-Za-z0-9_-]{43}$/);
    expect(Buffer.from(token.slice(4), "base64url")).toHaveLength(32);
    expect(sha256).toBe(createHash("sha256").update(token).digest("hex"));
    expect(sha256Of(token)).toBe(sha256);
  }
  expect(new Set(tokens.map(({ token }) => token)).size).toBe(50);
});

describe("static tokens of a policy", () => {
  const [ours, other, ending] = [newStaticToken(), newStaticToken(), newStaticToken()];
  const expires = new Date(startMs + 1_000);
  const entries = [
    { name: "prometheus", line: 1, sha256: ours.sha256, expires: undefined },
    { name: "script", line: 2, sha256: ending.sha256, expires },
  ];

  it("are found by their hash, for as long as the policy says", () => {
    const { find } = staticTokens(entries, () => startMs);
    expect(find(ours.token)).toMatchObject({
      identity: { kind: "token", token: "prometheus" },
      untilMs: Number.POSITIVE_INFINITY,
    });
    expect(find(ending.token)).toMatchObject({
      identity: { kind: "token", token: "script" },
      untilMs: startMs + 1_000,
    });
  });

  it("attack 32: one character changed, the prefix alone, another's and the hash sent as token are refused", async () => {
    const { find } = staticTokens(entries, () => startMs);
    const { token, sha256 } = ours;
    const changed = Array.from(token, (c, at) => `${token.slice(0, at)}${c === "A" ? "B" : "A"}${token.slice(at + 1)}`);
    for (const wrong of [
      ...changed,
      "fkt_",
      "",
      other.token,
      sha256,
      `fkt_${sha256}`,
      `${token} `,
      token.slice(0, -1),
    ]) {
      const error = await thrownBy(() => find(wrong));
      expect(error).toBeKmsError("UNAUTHENTICATED");
      expect(error).toHaveProperty("message", "the token is not accepted");
      expect(error).not.toHaveProperty("inLog", expect.stringContaining(sha256));
    }
  });

  it("attack 32: a token past its end is told so", async () => {
    let nowMs = startMs + 999;
    const { find } = staticTokens(entries, () => nowMs);
    expect(find(ending.token).untilMs).toBe(startMs + 1_000);
    nowMs += 1;
    const error = await thrownBy(() => find(ending.token));
    expect(error).toBeKmsError("CREDENTIAL_EXPIRED");
    expect(error).toHaveProperty("message", "the token has expired");
    expect(find(ours.token).identity.token).toBe("prometheus");
  });
});
