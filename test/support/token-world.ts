/**
 * What the service has of the issuers of a policy, in a test: their key sets as the test publishes them, and a clock
 * that the test moves.
 */
import { realTime } from "../../src/runtime/time.ts";
import { type KeySet, openKeySet } from "../../src/auth/token/issuer-keys.ts";
import { issuersOf, type TokenIssuers } from "../../src/auth/token/issuers.ts";
import { createReader } from "../../src/auth/policy/fields.ts";
import { readPolicyText } from "../../src/auth/policy/text.ts";
import { type TokenCache, createTokenCache, type TokenIdentity } from "../../src/auth/token/cache.ts";
import type { Identity } from "../../src/auth/policy/identity.ts";
import { type IssuerEntry, readTrust } from "../../src/auth/policy/trust.ts";
import { createFailureLimit } from "../../src/limits/failures.ts";
import type { Json } from "./signed-tokens.ts";

/** Entries as a policy has them, from its `issuers`. */
export function entriesOf(...issuers: Json[]): readonly IssuerEntry[] {
  const tree = readPolicyText(JSON.stringify({ issuers }));
  const reader = createReader();
  if (!("kind" in tree)) throw new Error(tree[0]?.text);
  const trust = readTrust(reader.fields(tree, ["issuers"], "the policy"), reader);
  if (reader.problems.length > 0) throw new Error(reader.problems[0]!.text);
  return trust.issuers;
}

export const startMs = Date.parse("2026-03-01T12:00:00Z");

/** What the service has of some issuers; the sets that `published` has are loaded, and may be changed. */
export interface World {
  nowMs: number;
  issuers: TokenIssuers;
  /** By the name of the entry; an Error is what a load then fails with. */
  readonly published: Record<string, unknown>;
  /** By the name of the entry. */
  readonly loads: Record<string, number>;
  /** Whether some rule names an identity: each, unless the test says another. */
  isNamed: (identity: Identity) => boolean;
  reload(...issuers: Json[]): void;
  readonly tokens: TokenCache;
  identify(token: string, address?: string): Promise<TokenIdentity>;
  pass(ms: number): void;
  size(): number;
  close(): void;
}

export function worldOf(issuers: readonly Json[], published: Record<string, unknown>, failuresPerSecond = 0): World {
  const world = {
    nowMs: startMs,
    published,
    loads: {},
    isNamed: () => true,
  } as unknown as World;
  const now = () => world.nowMs;
  const open = ({ name, trustDomain }: IssuerEntry): KeySet =>
    openKeySet({
      name,
      async load() {
        world.loads[name] = (world.loads[name] ?? 0) + 1;
        const set = published[name];
        if (set instanceof Error) throw set;
        return set;
      },
      use: trustDomain === undefined ? "sig" : "jwt-svid",
      time: { ...realTime, monotonicMs: now },
      maxStaleMs: 24 * 3_600_000,
    });
  world.issuers = issuersOf({ issuers: entriesOf(...issuers) }, undefined, open);
  const tokens = createTokenCache({
    issuers: () => world.issuers,
    isNamed: (identity) => world.isNamed(identity),
    now,
    failures: createFailureLimit({ failuresPerSecond, limitLog: { acted() {} }, now }),
  });
  return Object.assign(world, {
    tokens,
    reload: (...changed: Json[]) => {
      world.issuers = issuersOf({ issuers: entriesOf(...changed) }, world.issuers, open);
    },
    identify: async (token: string, address = "192.0.2.1") => tokens.identify(token, address),
    pass: (ms: number) => {
      world.nowMs += ms;
    },
    size: tokens.size,
    close: () => {
      for (const { keys } of world.issuers.all) keys.close();
    },
  });
}
