/** A tenant's public keys from a file: the JWKS (RFC 7517) that the service serves, with each key's state and times, and what there is of logs. */
import { JsonError, readJson } from "../../encoding/json.ts";
import type { Checkpoint } from "../../tlog/checkpoint.ts";
import type { UnprovenEntry } from "../../attestation/log-history.ts";
import { parseHandover } from "../../attestation/log-entry.ts";
import { type HandoverClaim, handoverClaim, trustedKeys, type Voucher } from "../../attestation/log-trust.ts";
import { canonicalSignedAt } from "../../attestation/statement.ts";
import { leafHash } from "../../tlog/merkle.ts";
import type { VerifyingKey } from "../../attestation/verdict.ts";
import type { LogKey } from "../../attestation/verify-log-proof.ts";
import { parseVerifierKey, type VerifierKey } from "../../tlog/verifier-key.ts";
import { Failure } from "../command.ts";
import { base64At, indexAt, listAt, membersAt, textAt, wrongJson } from "../files.ts";

export interface KeySet {
  byId: ReadonlyMap<string, VerifyingKey>;
  /** How many keys of kinds that no reader of this release knows are in the set too. */
  unknown: number;
  /** Each key by the name of each log that it may sign for. */
  logKeys: readonly LogKey[];
  handovers: readonly HandoverClaim[];
  /** How keys came to be trusted, by key id, where trust begins with a few. */
  vouchers: ReadonlyMap<string, Voucher>;
  /** Entries of handovers that were not used. */
  unused: readonly UnusedHandover[];
  /** Heads of logs that a restored backup or an accepted loss ended: entries behind them are lost to the service. */
  ended: readonly Checkpoint[];
}

export interface UnusedHandover extends UnprovenEntry {
  /** Of the log. */
  origin: string;
}

const states: readonly VerifyingKey["state"][] = [
  "PENDING",
  "ACTIVE",
  "RETIRED",
  "DISABLED",
  "COMPROMISED",
  "DESTROY_SCHEDULED",
  "DESTROYED",
];
/** RFC 8037's name, and RFC 9864's. */
const algorithms: readonly unknown[] = ["EdDSA", "Ed25519"];
const publicKeyBytes = 32;
const hashBytes = 32;

/** Reads a key set, JSON in UTF-8. Throws a Failure that names the member that is wrong. */
export function readKeySet(bytes: Uint8Array): KeySet {
  const { keys, handovers, unused_handovers, ended_logs, ...rest } = (parseKeys(bytes) ?? {}) as Record<
    string,
    unknown
  >;
  if (!Array.isArray(keys)) throw new Failure('the keys file has no list "keys"; it must be a JWKS');
  if (isPage(rest, keys.length))
    throw new Failure("the keys file is one page of the tenant's keys; save all of them, as jwks.json serves them");
  const byId = new Map<string, VerifyingKey>();
  const logKeys: LogKey[] = [];
  let unknown = 0;
  for (const [i, entry] of keys.entries()) {
    const jwk = keyMembers(entry, `keys[${i}]`);
    if (isOfOtherKind(jwk)) {
      unknown += 1;
      continue;
    }
    const { keyId, key, inLogs } = readKey(jwk, `keys[${i}]`);
    if (byId.has(keyId)) throw new Failure(`keys[${i}].kid is there twice; keep one`);
    byId.set(keyId, key);
    logKeys.push(...inLogs);
  }
  const listed = listAt(handovers, "handovers").map((each, i) => readHandover(each, `handovers[${i}]`));
  const apart = listAt(unused_handovers, "unused_handovers");
  return {
    byId,
    unknown,
    logKeys,
    handovers: listed.filter((each) => "note" in each),
    vouchers: new Map(),
    unused: [
      ...listed.filter((each): each is UnusedHandover => !("note" in each)),
      ...apart.map((each, i) => readUnusedHandover(each, `unused_handovers[${i}]`)),
    ],
    ended: listAt(ended_logs, "ended_logs").map((each, i) => readHead(each, `ended_logs[${i}]`)),
  };
}

function parseKeys(bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new Failure("the keys file is not UTF-8; save what /api/kms/tenants/{tenant}/jwks.json answers");
  }
  try {
    return readJson(text);
  } catch (error) {
    if (error instanceof JsonError && error.reason === "repeated")
      throw new Failure(`the keys file has a member twice: ${wrongJson(error)}`);
    throw new Failure("the keys file is not JSON; save what /api/kms/tenants/{tenant}/jwks.json answers");
  }
}

/** Whether the file says that there are more keys. Spans of the others would look as if they were forged. */
function isPage(rest: Record<string, unknown>, keys: number): boolean {
  const [token, total] = [rest.next_page_token ?? rest.nextPageToken, rest.total_keys ?? rest.totalKeys];
  return (token !== undefined && token !== null && token !== "") || (total !== undefined && total !== keys);
}

/** Without what cannot be reached from these keys by handovers. */
export function trustedKeySet(keys: KeySet, first: readonly VerifierKey[]): KeySet {
  const { keys: logKeys, vouchers } = trustedKeys(first, keys.handovers, keys.logKeys);
  const ids = new Set(logKeys.map(({ keyId }) => keyId));
  return { ...keys, logKeys, vouchers, byId: new Map([...keys.byId].filter(([keyId]) => ids.has(keyId))) };
}

/** Members of a JWK that hold a secret: of RFC 7518's key types, of RFC 8037's and of the post-quantum ones. */
const privateMembers = ["d", "k", "priv"];

function keyMembers(entry: unknown, at: string): Record<string, unknown> {
  const jwk = membersAt(entry, at);
  const secret = privateMembers.find((name) => jwk[name] !== undefined);
  if (secret !== undefined) {
    throw new Failure(
      `${at} HAS A PRIVATE KEY (${secret}): whoever has read this file can sign with it. Replace the key, destroy the file, and verify by public keys`,
    );
  }
  return jwk;
}

/** Whether the key is of a kind that is yet to come, which RFC 7517 (5) has readers pass over: it must not end the others. */
function isOfOtherKind({ kty, crv }: Record<string, unknown>): boolean {
  return typeof kty === "string" && (kty !== "OKP" || (typeof crv === "string" && crv !== "Ed25519"));
}

function readKey(jwk: Record<string, unknown>, at: string): { keyId: string; key: VerifyingKey; inLogs: LogKey[] } {
  const publicKey = readPublicKey(jwk, at);
  if (typeof jwk.kid !== "string" || jwk.kid === "") throw new Failure(`${at}.kid is missing`);
  const keyId = jwk.kid;
  const state = states.find((known) => known === jwk.state);
  if (state === undefined) throw new Failure(`${at}.state must be one of ${states.join(", ")}`);
  const validFrom = readDate(jwk.valid_from, `${at}.valid_from`);
  const validUntil = readDate(jwk.valid_until, `${at}.valid_until`);
  const compromisedAt = readDate(jwk.compromised_at, `${at}.compromised_at`);
  const key = { publicKey, state, validFrom, validUntil, compromisedAt };
  const marked = jwk.compromised_log ?? undefined;
  const compromisedLog = marked === undefined ? undefined : readHead(marked, `${at}.compromised_log`);
  const names = listAt(jwk.vkeys, `${at}.vkeys`).map((vkey, i) => readName(vkey, publicKey, `${at}.vkeys[${i}]`));
  return { keyId, key, inLogs: names.map((name) => ({ ...key, name, keyId, compromisedLog })) };
}

/** An Ed25519 public key that is for signatures, as RFC 8037 and RFC 7517 have it. */
function readPublicKey(jwk: Record<string, unknown>, at: string): Uint8Array {
  if (typeof jwk.kty !== "string") throw new Failure(`${at}.kty must be text`);
  if (jwk.kty !== "OKP" || jwk.crv !== "Ed25519")
    throw new Failure(`${at} is not an Ed25519 key (kty OKP, crv Ed25519)`);
  if (jwk.alg !== undefined && !algorithms.includes(jwk.alg))
    throw new Failure(`${at}.alg must be one of ${algorithms.join(", ")}, or left out`);
  if (jwk.use !== undefined && jwk.use !== "sig") throw new Failure(`${at}.use must be sig, or left out`);
  const operations = jwk.key_ops;
  if (operations !== undefined && !(Array.isArray(operations) && operations.length === 1 && operations[0] === "verify"))
    throw new Failure(`${at}.key_ops must be ["verify"], or left out`);
  const publicKey = new Uint8Array(Buffer.from(typeof jwk.x === "string" ? jwk.x : "", "base64url"));
  if (publicKey.length !== publicKeyBytes || Buffer.from(publicKey).toString("base64url") !== jwk.x)
    throw new Failure(`${at}.x must be ${publicKeyBytes} bytes in base64url, without padding`);
  return publicKey;
}

function readName(vkey: unknown, publicKey: Uint8Array, at: string): string {
  const key = parseVerifierKey(textAt(vkey, at));
  if (key === undefined || Buffer.compare(key.publicKey, publicKey) !== 0)
    throw new Failure(`${at} must be a verifier key of the same key`);
  return key.name;
}

function readHead(value: unknown, at: string): Checkpoint {
  const { origin, size, root } = membersAt(value, at);
  const hash = base64At(root, `${at}.root`);
  if (hash.length !== hashBytes) throw new Failure(`${at}.root must be ${hashBytes} bytes`);
  return { origin: textAt(origin, `${at}.origin`), size: indexAt(size, `${at}.size`), root: hash };
}

/** Releases of 0.1 list a handover that was not used among the others, with an empty proof. */
function readHandover(value: unknown, at: string): HandoverClaim | UnusedHandover {
  const members = membersAt(value, at);
  const entry = base64At(members.entry, `${at}.entry`);
  const proof = textAt(members.proof, `${at}.proof`);
  if (proof === "") return readUnusedHandover(value, at);
  const claim = handoverClaim({ entry, proof });
  if (claim === undefined) throw new Failure(`${at} is not a handover's entry and its log proof`);
  return claim;
}

function readUnusedHandover(value: unknown, at: string): UnusedHandover {
  const members = membersAt(value, at);
  const entry = base64At(members.entry, `${at}.entry`);
  if (parseHandover(entry) === undefined) throw new Failure(`${at} is not a handover's entry`);
  const [origin, index] = [textAt(members.origin, `${at}.origin`), indexAt(members.leaf_index, `${at}.leaf_index`)];
  return { origin, index, leaf: leafHash(entry) };
}

/** Digits behind the milliseconds, which are cut off. */
const pastMilliseconds = /(\.\d{3})\d{1,6}(?!\d)/;

/** A time in the forms of signed_at, with up to 9 digits of a fraction. */
function readDate(value: unknown, at: string): Date | undefined {
  if (value === null || value === undefined) return undefined;
  const text = typeof value === "string" ? canonicalSignedAt(value.replace(pastMilliseconds, "$1")) : undefined;
  if (text === undefined) throw new Failure(`${at} must be a date of RFC 3339 in UTC, or null`);
  return new Date(text);
}
