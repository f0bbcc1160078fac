/** Claims as rules ask for them. */
import { describe, expect, it } from "vitest";
import { type Claims, claimHas, claimOf } from "../../../src/auth/policy/claims.ts";

const parsed = (text: string): Claims => JSON.parse(text) as Claims;

describe("a claim's name", () => {
  const claims = parsed(
    '{"a":"1","a/b":"2","":"3","/x":"4","~":"5","m":{"n":{"o":"6"},"":"7","a/b":"8","~1":"9"},"l":["p",{"q":"10"}],"https://fluo.dev/t":"11"}',
  );

  it.each([
    ["a", "1"],
    ["a/b", "2"],
    ["", "3"],
    ["~", "5"],
    ["https://fluo.dev/t", "11"],
    ["m.n", undefined],
    ["m/n", undefined],
  ])("is a member's: %j", (name, value) => {
    expect(claimOf(claims, name)).toBe(value);
  });

  it.each([
    ["/a", "1"],
    ["/a~1b", "2"],
    ["/", "3"],
    ["/~1x", "4"],
    ["/~0", "5"],
    ["/m/n/o", "6"],
    ["/m/", "7"],
    ["/m/a~1b", "8"],
    ["/m/~01", "9"],
    ["/l/0", "p"],
    ["/l/1/q", "10"],
    ["/x", undefined],
    ["/m/n/o/p", undefined],
    ["/m/x/o", undefined],
    ["/a/0", undefined],
    ["/a/length", undefined],
    ["/l/length", undefined],
    ["/l/2", undefined],
    ["/l/-", undefined],
    ["/l/00", undefined],
    ["/l/at", undefined],
  ])("is a JSON Pointer behind a slash: %j", (name, value) => {
    expect(claimOf(claims, name)).toBe(value);
  });

  it.each([
    "toString",
    "constructor",
    "__proto__",
    "hasOwnProperty",
    "/constructor/name",
    "/__proto__/polluted",
    "/m/constructor",
  ])("attack 49: is no inherited member's: %s", (name) => {
    expect(claimOf(claims, name)).toBeUndefined();
  });

  it("may be a member's of the name of an inherited one", () => {
    const own = parsed('{"__proto__":{"polluted":"yes"},"constructor":"c"}');
    expect(claimOf(own, "/__proto__/polluted")).toBe("yes");
    expect(claimOf(own, "constructor")).toBe("c");
    expect(({} as Claims).polluted).toBeUndefined();
  });

  it("finds nothing in null and in texts", () => {
    const odd = parsed('{"n":null,"t":"text","b":true,"i":5}');
    for (const name of ["/n/a", "/t/0", "/t/length", "/b/a", "/i/a"]) expect(claimOf(odd, name)).toBeUndefined();
  });
});

describe("a wanted claim", () => {
  const has = (claim: string, text: string, name = "c") => claimHas(parsed(`{"${name}":${claim}}`), name, text);

  it.each([
    ['"kms-admin"', "kms-admin"],
    ['["a","kms-admin"]', "kms-admin"],
    ["true", "true"],
    ["false", "false"],
    ["[true]", "true"],
    ["5", "5"],
    ["[4,5]", "5"],
    ["1e3", "1000"],
    ["1.0", "1"],
    ["-0", "0"],
    ["-7", "-7"],
    ["9007199254740991", "9007199254740991"],
    ["-9007199254740991", "-9007199254740991"],
    ['"1e3"', "1e3"],
    ['""', ""],
  ])("is equal: %s has %s", (claim, text) => {
    expect(has(claim, text)).toBe(true);
  });

  it.each([
    ['"kms-admin-x"', "kms-admin"],
    ['"kms-admi"', "kms-admin"],
    ['"KMS-ADMIN"', "kms-admin"],
    ['"kms-admin "', "kms-admin"],
    ['"a kms-admin"', "kms-admin"],
    ['"a,kms-admin"', "kms-admin"],
    ['{"kms-admin":true}', "kms-admin"],
    ['[["kms-admin"]]', "kms-admin"],
    ['[{"kms-admin":true}]', "kms-admin"],
    ['["kms-admin-x"]', "kms-admin"],
    ["[]", "kms-admin"],
    ["[]", ""],
    ["null", "null"],
    ["[null]", "null"],
    ["{}", "[object Object]"],
    ['["a","b"]', "a,b"],
    ["1e3", "1e3"],
    ["1.0", "1.0"],
    ["1.5", "1.5"],
    ["-0", "-0"],
    ["9007199254740992", "9007199254740992"],
    ["9007199254740993", "9007199254740992"],
    ["[9007199254740993]", "9007199254740992"],
    ["1e400", "Infinity"],
    ["5", "05"],
    ["true", "True"],
    ['"acme*"', "acme"],
    ['"acme"', "*"],
  ])("attack 49: is nothing else: %s has not %s", (claim, text) => {
    expect(has(claim, text)).toBe(false);
  });

  it("is not there in claims that have none", () => {
    expect(claimHas({}, "c", "undefined")).toBe(false);
    expect(claimHas({}, "toString", "")).toBe(false);
    expect(claimHas(parsed('{"d":"x"}'), "c", "x")).toBe(false);
  });

  it.each(["scope", "scp"])("is a word of %s", (name) => {
    for (const word of ["read", "kms:sign", "write"]) expect(has('"read kms:sign write"', word, name)).toBe(true);
    expect(has('["read","write"]', "write", name)).toBe(true);
    for (const word of ["re", "read kms:sign", "read kms:sign write", "sign", "writ"]) {
      expect(has('"read kms:sign write"', word, name)).toBe(false);
    }
    expect(has('["read write"]', "write", name)).toBe(false);
    expect(has("5", "5", name)).toBe(true);
  });

  it("is a word of no other claim", () => {
    expect(has('"read write"', "write", "scopes")).toBe(false);
    expect(claimHas(parsed('{"a":{"scope":"read write"}}'), "/a/scope", "write")).toBe(false);
  });
});
