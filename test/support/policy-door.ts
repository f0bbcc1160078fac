/** A door under a policy whose tokens are taken at their word: `Bearer ops` is the caller that the test calls `ops`. */
import { createCaller, type PolicyCaller } from "../../src/auth/caller.ts";
import { createMatcher } from "../../src/auth/policy/grants.ts";
import type { Identity } from "../../src/auth/policy/identity.ts";
import { KmsError } from "../../src/errors.ts";
import type { Door, Open, Peering } from "../../src/transport/authenticate.ts";
import { policyOf, sha256 as policySha256 } from "./policy-fixture.ts";

export interface DoorOptions {
  policy: string;
  callers: Record<string, Identity>;
  /** When every credential ends. */
  untilMs?: number;
  open?: readonly Open[];
}

export interface PolicyFixture {
  door: Door;
  /** Puts another policy into force. */
  load(policy: string): void;
}

/** A connection without a certificate, which stays open. */
export const peering: Peering = {
  closesMs: () => Number.POSITIVE_INFINITY,
  hasCertificate: () => false,
  isKnown: () => false,
  isRefused: () => false,
  hasLost: () => false,
  about: () => ({}),
};

export function underPolicy({ policy: text, callers, untilMs = Infinity, open = [] }: DoorOptions): PolicyFixture {
  let policy = inForce(text);
  const known = new Map<string, PolicyCaller>();
  for (const [name, identity] of Object.entries(callers)) {
    const credential = { untilMs, check() {} };
    known.set(`Bearer ${name}`, createCaller({ identity, credential, inForce: () => policy }));
  }
  const identify = (_connection: unknown, [authorization, ...others]: readonly string[]): PolicyCaller => {
    if (authorization === undefined) throw new KmsError("UNAUTHENTICATED", "no credential");
    const caller = known.get(authorization);
    if (caller === undefined || others.length > 0) throw new KmsError("UNAUTHENTICATED", "the token is not accepted");
    return caller;
  };
  const door: Door = {
    connect: () => peering,
    enter(connection, authorization) {
      const caller = identify(connection, authorization);
      if (caller.grants().length > 0) return caller;
      throw new KmsError("PERMISSION_DENIED", "no rule names this caller");
    },
    identify,
    count() {},
    isOpen: (what) => open.includes(what),
    policySha256: () => policySha256,
    subscribe() {},
  };
  const load = (other: string) => {
    policy = inForce(other);
  };
  return { door, load };
}

function inForce(text: string) {
  const { separation, rules } = policyOf(text);
  return { separation, grantsOf: createMatcher(rules) };
}
