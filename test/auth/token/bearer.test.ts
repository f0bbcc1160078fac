import { describe, expect, it } from "vitest";
import { bearerOf, tokenExpired, tokenOf, tokenRefused } from "../../../src/auth/token/bearer.ts";
import { newStaticToken } from "../../../src/auth/token/static-token.ts";
import { thrownBy } from "../../support/matchers.ts";

const jwt = "eyJhbGciOiJFUzI1NiJ9.e30.c2ln";
const fkt = newStaticToken().token;

function refusal(...headers: string[]): Promise<unknown> {
  return thrownBy(() => bearerOf(headers));
}

async function refused(...headers: string[]): Promise<void> {
  const error = await refusal(...headers);
  expect(error).toBeKmsError("UNAUTHENTICATED");
  expect((error as Error).message).toBe("the token is not accepted");
}

describe("a call's bearer token", () => {
  it("is none without a header", () => {
    expect(bearerOf([])).toBeUndefined();
  });

  it("is a static token by its prefix, and else a JWT", () => {
    expect(bearerOf([`Bearer ${fkt}`])).toEqual({ kind: "static", token: fkt });
    expect(bearerOf([`Bearer ${jwt}`])).toEqual({ kind: "jwt", token: jwt });
  });

  it("attack 22: a token of more than 8 KiB is refused, and one of 8 KiB is looked at", async () => {
    const longest = `a.b.${"c".repeat(8 * 1024 - 4)}`;
    expect(bearerOf([`Bearer ${longest}`])?.token).toBe(longest);
    expect(await refusal(`Bearer ${longest}c`)).toHaveProperty(
      "inLog",
      expect.stringContaining("longer than 8192 bytes"),
    );
    await refused(`Bearer ${"c".repeat(1024 * 1024)}`);
  });

  it("attack 23: two authorization headers are refused, whichever is good", async () => {
    await refused(`Bearer ${jwt}`, `Bearer ${jwt}`);
    await refused(`Bearer ${jwt}`, "Bearer x");
    await refused("Basic eDp5", `Bearer ${jwt}`);
    await refused(`Bearer ${jwt}, Bearer ${jwt}`);
    await refused(`Bearer ${jwt}`, "");
  });

  it("attack 24: another scheme and white space are refused, and the scheme may be in any case", async () => {
    for (const header of [`Basic ${jwt}`, jwt, fkt, `Bearer${jwt}`, "", "Bearer", "Bearer ", `Bearerx ${jwt}`]) {
      await refused(header);
    }
    for (const header of [`Bearer  ${jwt}`, ` Bearer ${jwt}`, `Bearer ${jwt} `, `Bearer\t${jwt}`, `Bearer ${jwt}\n`]) {
      await refused(header);
    }
    expect(bearerOf([`bEARER ${jwt}`])).toEqual({ kind: "jwt", token: jwt });
  });

  it("is refused where it has the form of neither kind", async () => {
    for (const token of [
      "a.b",
      "a.b.",
      ".b.c",
      "a..c",
      "a.b.c.d",
      "a.b.c.d.e",
      "a.b.c=",
      "a.b+.c",
      "a/.b.c",
      "opaque",
    ]) {
      await refused(`Bearer ${token}`);
    }
    for (const token of ["fkt_", fkt.slice(0, -1), `${fkt}A`, fkt.replace("fkt_", "FKT_"), `x${fkt}`, `${fkt}=`]) {
      await refused(`Bearer ${token}`);
    }
  });

  it("is not in what is said of it", async () => {
    for (const header of [`Basic ${fkt}`, `Bearer ${fkt}A`, `Bearer  ${fkt}`]) {
      const error = (await refusal(header)) as { inLog: string };
      expect(error.inLog).toMatch(/^the token is not accepted: \w/);
      expect(error.inLog).not.toContain(fkt.slice(4, 20));
    }
  });
});

it("a refusal tells the caller nothing, and the log why", () => {
  const cause = new Error("why");
  expect(tokenRefused("the reason", cause)).toMatchObject({
    code: "UNAUTHENTICATED",
    message: "the token is not accepted",
    inLog: "the token is not accepted: the reason",
    cause,
  });
  expect(tokenExpired("issuer sso")).toMatchObject({
    code: "CREDENTIAL_EXPIRED",
    message: "the token has expired",
    inLog: "the token has expired: issuer sso",
  });
});

it("a token of a known issuer is named by entry and key id, of which nothing can break a line", () => {
  expect(tokenOf("sso", "key-1")).toBe('issuer sso, kid "key-1"');
  expect(tokenOf("sso", undefined)).toBe("issuer sso, no kid");
  expect(tokenOf("sso", 'a\n"\u202eb\u0085é')).toBe('issuer sso, kid "a?\\"?b??"');
  expect(tokenOf("sso", "x".repeat(1_000))).toBe(`issuer sso, kid "${"x".repeat(64)}"`);
});
