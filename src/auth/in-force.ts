/** What is in force by a policy's files: the grants of its rules, its static tokens and its issuers with their keys. */
import type { Logger } from "pino";
import type { Loaded } from "./authenticator.ts";
import { createDemands, createMatcher } from "./policy/grants.ts";
import type { IssuerEntry } from "./policy/trust.ts";
import type { PolicyFiles } from "./policy-files.ts";
import { type KeySet, openKeySet } from "./token/issuer-keys.ts";
import { issuersOf, type TokenIssuers } from "./token/issuers.ts";
import { keyUseOf } from "./token/jwks.ts";
import { fileSource } from "./token/key-file.ts";
import { keySource } from "./token/key-source.ts";
import { staticTokens } from "./token/static-token.ts";
import type { Time } from "../runtime/time.ts";

/**
 * How long the keys of an issuer that cannot be reached are believed. Tokens end earlier, and an issuer that is not to be
 * believed any more is taken out of the policy.
 */
export const keysMaxStaleMs = 24 * 3_600_000;

export interface InForce {
  readonly files: PolicyFiles;
  readonly loaded: Loaded;
  readonly issuers: TokenIssuers;
  readonly since: Date;
}

export interface KeySourceSettings {
  /** In `prod` no issuer is asked but by `https:`. */
  readonly profile: string;
  /** Variables by which Node's agents find proxies. */
  readonly proxies: Readonly<Record<string, string | undefined>>;
}

export interface InForceParts {
  settings: KeySourceSettings;
  log: Logger;
  time: Time;
  /** Told when the keys of an issuer cannot be had. */
  changed(): void;
}

/** Puts files into force. Keys of issuers that were in force before are carried over, so that no issuer is needed. */
export function putInForce(files: PolicyFiles, former: InForce | undefined, parts: InForceParts): InForce {
  const { policy, authorities } = files;
  const { time } = parts;
  return {
    files,
    issuers: issuersOf(policy, former?.issuers, (entry) => openKeys(entry, parts)),
    loaded: {
      separation: policy.separation,
      authorities,
      grantsOf: createMatcher(policy.rules),
      tokenDemandOn: createDemands(policy.rules),
      staticTokens: staticTokens(policy.tokens, () => time.now().getTime()),
    },
    since: time.now(),
  };
}

/** What is loaded as the keys of an issuer, and from where. */
export function keysOf(entry: IssuerEntry, { profile, proxies, time }: KeySourceSettings & { time: Time }) {
  const { name, keys } = entry;
  const load =
    keys.from === "file"
      ? fileSource(keys.at)
      : keySource(entry, { environment: proxies, plainLoopback: profile !== "prod", time });
  return { name, use: keyUseOf(entry), load, time };
}

function openKeys(entry: IssuerEntry, { settings, log, time, changed }: InForceParts): KeySet {
  const { name } = entry;
  return openKeySet({
    ...keysOf(entry, { ...settings, time }),
    maxStaleMs: keysMaxStaleMs,
    warn: (text) => log.warn({ issuer: name }, `the key set ${text}`),
    failed(error) {
      log.warn({ issuer: name, cause: String(error) }, "the keys of an issuer cannot be had; the former ones stay");
      changed();
    },
  });
}
