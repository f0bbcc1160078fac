/** What is counted of callers: each answer of the door once, and identities, of which a bounded number is told apart. */
import { describe, expect, it } from "vitest";
import { callerCounts, maxIdentities } from "../../src/auth/caller-counts.ts";
import { KmsError, type KmsErrorCode } from "../../src/errors.ts";
import { callerUnder, human, inForce, prometheus, rule, workload } from "../support/policy-fixture.ts";

const policy = inForce(rule());
const callerOf = (identity: Parameters<typeof callerUnder>[1]) => callerUnder(policy, identity);

function countOf(seen: ReturnType<typeof callerCounts>, kind: string): Record<string, number> {
  const those = seen.calls().filter((each) => each.kind === kind);
  return Object.fromEntries(those.map(({ outcome, count }) => [outcome, count]));
}

describe("calls", () => {
  it("are counted by kind and outcome, from 0 on", () => {
    const seen = callerCounts();
    expect(countOf(seen, "jwt")).toEqual({ ok: 0, refused: 0, unavailable: 0, limited: 0 });
    seen.accepted("jwt");
    seen.accepted("jwt");
    seen.accepted("certificate");
    expect(countOf(seen, "jwt")).toEqual({ ok: 2, refused: 0, unavailable: 0, limited: 0 });
    expect(countOf(seen, "certificate")).toEqual({ ok: 1, refused: 0, limited: 0 });
    expect(countOf(seen, "none")).toEqual({ refused: 0 });
  });

  it.each<[KmsErrorCode, string]>([
    ["UNAUTHENTICATED", "refused"],
    ["CREDENTIAL_EXPIRED", "refused"],
    ["PERMISSION_DENIED", "refused"],
    ["RATE_LIMITED", "limited"],
    ["ISSUER_UNAVAILABLE", "unavailable"],
    ["DEADLINE_EXCEEDED", "unavailable"],
  ])("that are refused with %s count as %s", (code, outcome) => {
    const seen = callerCounts();
    seen.refused("jwt", new KmsError(code, "as told"));
    const none = { ok: 0, refused: 0, unavailable: 0, limited: 0 };
    expect(countOf(seen, "jwt")).toEqual({ ...none, [outcome]: 1 });
    expect(seen.refusals()).toEqual([{ kind: "jwt", code, count: 1 }]);
  });
});

describe("identities", () => {
  const counts = (seen: ReturnType<typeof callerCounts>) =>
    Object.fromEntries(seen.identities().map(({ kind, count }) => [kind, count]));

  it("count once, by whichever credential and however often", () => {
    const seen = callerCounts();
    const ann = callerOf(human({}, "ann"));
    for (const each of [ann, ann, callerOf(human({ groups: "a" }, "ann")), callerOf(human({}, "bob"))])
      seen.named(each);
    for (const each of [callerOf(prometheus), callerOf(workload("/a")), callerOf(workload("/b"))]) seen.named(each);
    expect(counts(seen)).toEqual({ spiffe: 2, dns: 0, jwt: 2, token: 1 });
  });

  it("are told apart up to a bound, each kind for itself", () => {
    const seen = callerCounts();
    for (let n = 0; n < maxIdentities + 10; n += 1) seen.named(callerOf(human({}, `user ${n}`)));
    seen.named(callerOf(prometheus));
    expect(counts(seen)).toEqual({ spiffe: 0, dns: 0, jwt: maxIdentities, token: 1 });
  });
});
