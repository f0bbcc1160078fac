import { describe, expect, it } from "vitest";
import { issuersOf } from "../../../src/auth/token/issuers.ts";
import type { KeySet } from "../../../src/auth/token/issuer-keys.ts";
import type { IssuerEntry } from "../../../src/auth/policy/trust.ts";
import type { Json } from "../../support/signed-tokens.ts";
import { entriesOf } from "../../support/token-world.ts";

const sso = { name: "sso", issuer: "https://sso.example.org", audience: "fluo-kms", jwks: "https://sso.example.org/k" };
const spire = { name: "spire", "trust-domain": "example.org", "bundle-file": "/bundle.json", audience: "fluo-kms" };

/** Opens key sets by name, and tells which are open. */
function keySets(fails: (entry: IssuerEntry) => boolean = () => false) {
  const open: string[] = [];
  return {
    open,
    openKeySet(entry: IssuerEntry): KeySet {
      if (fails(entry)) throw new Error(`no keys of ${entry.name}`);
      open.push(entry.name);
      const close = () => void open.splice(open.indexOf(entry.name), 1);
      return { close } as unknown as KeySet;
    },
  };
}

const policy = (...issuers: Json[]) => ({ issuers: entriesOf(...issuers) });

describe("the issuers of a policy", () => {
  it("are found by the exact text of iss, or by trust domain", () => {
    const issuers = issuersOf(policy(sso, spire), undefined, keySets().openKeySet);
    expect(issuers.all.map(({ entry }) => entry.name)).toEqual(["sso", "spire"]);
    expect(issuers.byIssuer("https://sso.example.org")?.entry.name).toBe("sso");
    expect(issuers.byTrustDomain("example.org")?.entry.name).toBe("spire");
    for (const text of ["https://sso.example.org/", "sso", "example.org", "__proto__", "undefined", ""]) {
      expect(issuers.byIssuer(text)).toBeUndefined();
    }
    for (const text of ["https://sso.example.org", "spire", "", "Example.org"]) {
      expect(issuers.byTrustDomain(text)).toBeUndefined();
    }
    // Neither is the other kind's entry, of which the text is not there.
    expect(issuers.byIssuer(undefined as never)).toBeUndefined();
    expect(issuers.byTrustDomain(undefined as never)).toBeUndefined();
  });

  it("keep their keys through a reload that changes nothing of them, in whichever order and line", () => {
    const sets = keySets();
    const former = issuersOf(policy(sso, spire), undefined, sets.openKeySet);
    const moved = policy(spire, sso).issuers.map((entry, at) => ({ ...entry, line: 90 + at }));
    const next = issuersOf({ issuers: moved }, former, sets.openKeySet);
    expect(sets.open).toEqual(["sso", "spire"]);
    for (const { entry, keys, fingerprint } of former.all) {
      const same = next.all.find((each) => each.entry.name === entry.name)!;
      expect(same.keys).toBe(keys);
      expect(same.fingerprint).toBe(fingerprint);
    }
  });

  it.each([
    { name: "other" },
    { issuer: "https://sso.example.org/" },
    { audience: "other" },
    { audience: ["fluo-kms", "other"] },
    { algorithms: ["ES256"] },
    { jwks: "https://sso.example.org/other" },
    { jwks: undefined },
    { jwks: undefined, "jwks-file": "/keys.json" },
    { ca: "/ca.pem" },
    { "token-file": "/token" },
    { "max-lifetime": "1h" },
    { "clock-tolerance": "10s" },
  ])("attack 44a: are others where their entry has another %o", (changed) => {
    const [former] = issuersOf(policy(sso), undefined, keySets().openKeySet).all;
    const [next] = issuersOf(policy({ ...sso, ...changed }), undefined, keySets().openKeySet).all;
    expect(next!.fingerprint).not.toBe(former!.fingerprint);
  });

  it("keep their keys where only what a token must say is another, and not where keys come from elsewhere", () => {
    const kept = (changed: Json, entry: Json = sso) => {
      const sets = keySets();
      const former = issuersOf(policy(entry), undefined, sets.openKeySet);
      const next = issuersOf(policy({ ...entry, ...changed }), former, sets.openKeySet);
      expect(sets.open).toHaveLength(1);
      return next.all[0]!.keys === former.all[0]!.keys;
    };
    for (const changed of [{ audience: "other" }, { algorithms: ["ES256"] }, { "max-lifetime": "1h" }]) {
      expect(kept(changed)).toBe(true);
    }
    for (const changed of [
      { name: "other" },
      { issuer: "https://sso.example.org/" },
      { jwks: undefined },
      { jwks: "https://x.example.org" },
      { jwks: undefined, "jwks-file": "https://sso.example.org/k" },
      { ca: "/ca.pem" },
      { "token-file": "/token" },
    ]) {
      expect(kept(changed)).toBe(false);
    }
    expect(kept({ "trust-domain": "other.org" }, spire)).toBe(false);
  });

  it("are closed where they are gone", () => {
    const sets = keySets();
    const former = issuersOf(policy(sso, spire), undefined, sets.openKeySet);
    const next = issuersOf(policy(spire), former, sets.openKeySet);
    expect(sets.open).toEqual(["spire"]);
    issuersOf(policy(), next, sets.openKeySet);
    expect(sets.open).toEqual([]);
  });

  it("stay as they are where the keys of another cannot be opened", () => {
    const sets = keySets(({ name }) => name === "broken");
    const former = issuersOf(policy(sso), undefined, sets.openKeySet);
    const broken = { ...sso, name: "broken", issuer: "https://broken.example.org" };
    expect(() => issuersOf(policy(spire, broken), former, sets.openKeySet)).toThrow("no keys of broken");
    expect(sets.open).toEqual(["sso"]);
  });
});
