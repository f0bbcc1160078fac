/**
 * A tenant's public keys: the JWKS (RFC 7517) that the service serves, with each key's state and times, its names in logs, and the
 * handovers from key to key.
 */
import { canonicalBase64, canonicalBase64Url, hexText, isSame } from "./bytes.ts";
import { type Crypto, hashBytes, publicKeyBytes, webCrypto } from "./crypto.ts";
import { JsonNumber, type JsonTree, parseJson } from "./json-tree.ts";
import { type Checkpoint, type LogEvidence, logSigners, proofReader } from "./log-proof.ts";
import { isIncluded, leafHash } from "./merkle.ts";
import type { Subtle } from "./platform.ts";
import { type NoteKey, parseVerifierKey } from "./signed-note.ts";
import { canonicalSignedAt, parseHandover, signedAtMs } from "./statement.ts";
import { type KeyState, type LogKey, reasonOfKey, type VerifyingKey } from "./verdict.ts";

/** A key set that is refused. The message names the member that is wrong, as in `keys[2].valid_from`. */
export class KeySetError extends Error {
  override readonly name = "KeySetError";
}

/** Public keys of one tenant, to verify with. */
export interface KeySet {
  /** Keys by key id. */
  readonly keys: ReadonlyMap<string, VerifyingKey>;
  /** How many keys of other kinds the set has, of which nothing is read: they verify no span. */
  readonly passedOver: number;
  /** Each key by the name of each log that it may sign for. */
  readonly logKeys: readonly LogKey[];
  /** Proofs that one key handed over to another. */
  readonly handovers: readonly HandoverClaim[];
  /** How each key was reached that `trusting` was not given, by key id. */
  readonly reached: ReadonlyMap<string, Reached>;
  /** Entries of handovers that were not used, as somebody says. */
  readonly unusedHandovers: readonly UnusedHandover[];
  /** Heads of logs that have ended: entries behind them are lost to the service. */
  readonly endedLogs: readonly Checkpoint[];
  /** What the keys are verified by. */
  readonly crypto: Crypto;
  /**
   * The keys among these verifier keys, and those that a chain of handovers leads to from them: for whoever trusts a few keys and not
   * the place that the set came from. A key that the set does not have leads nowhere. Throws KeySetError for a text that is no verifier key.
   */
  trusting(vkeys: readonly string[]): Promise<KeySet>;
  /** Whether a verifier key is of a key in the set, by whichever name. Throws likewise. */
  has(vkey: string): Promise<boolean>;
}

/** A handover's entry and proof. Nothing of it is verified before `trusting`. */
export interface HandoverClaim extends LogEvidence {
  to: NoteKey;
}

/** The handover that led to a key, and the trusted key that signed it. */
export interface Reached {
  by: HandoverClaim;
  from: LogKey;
}

export interface UnusedHandover {
  /** Name of the log. */
  origin: string;
  index: number;
  leaf: Uint8Array;
}

type Members = ReadonlyMap<string, JsonTree>;

const states: readonly KeyState[] = [
  ...(["PENDING", "ACTIVE", "RETIRED", "DISABLED", "COMPROMISED"] as const),
  ...(["DESTROY_SCHEDULED", "DESTROYED"] as const),
];
/** RFC 8037's name, and RFC 9864's. */
const algorithms: readonly unknown[] = ["EdDSA", "Ed25519"];

/**
 * Reads what `/api/kms/tenants/{tenant}/jwks.json` serves. `subtle` is by default that of `globalThis.crypto`. Throws KeySetError for
 * anything that a service would not serve: a member twice, a private key, a page of a larger set, and the like. Keys of other kinds are
 * passed over.
 */
export async function parseKeySet(jwks: string, options: { subtle?: Subtle } = {}): Promise<KeySet> {
  const crypto = webCrypto(options.subtle);
  const whole = parseMembers(jwks);
  const list = whole.get("keys");
  if (!Array.isArray(list)) throw new KeySetError('the key set has no list "keys"; it must be a JWKS');
  if (isPage(whole, list.length))
    throw new KeySetError("the key set is one page of the tenant's keys; take all of them, as jwks.json serves them");
  const keys = new Map<string, VerifyingKey>();
  const logKeys: LogKey[] = [];
  let passedOver = 0;
  for (const [i, entry] of (list as readonly JsonTree[]).entries()) {
    const jwk = membersAt(entry, `keys[${i}]`);
    if (!isEd25519(jwk, `keys[${i}]`)) {
      passedOver += 1;
      continue;
    }
    const { key, inLogs } = await readKey(jwk, `keys[${i}]`, crypto);
    if (keys.has(key.keyId)) throw new KeySetError(`keys[${i}].kid is there twice; keep one`);
    keys.set(key.keyId, key);
    logKeys.push(...inLogs);
  }
  const [handovers, unusedHandovers]: [HandoverClaim[], UnusedHandover[]] = [[], []];
  for (const [i, entry] of listAt(whole.get("handovers"), "handovers").entries()) {
    const claim = await readHandover(entry, `handovers[${i}]`, crypto);
    if ("to" in claim) handovers.push(claim);
    else unusedHandovers.push(claim);
  }
  for (const [i, entry] of listAt(whole.get("unused_handovers"), "unused_handovers").entries())
    unusedHandovers.push(await readUnusedHandover(entry, `unused_handovers[${i}]`, crypto));
  const endedLogs = listAt(whole.get("ended_logs"), "ended_logs").map((each, i) => readHead(each, `ended_logs[${i}]`));
  return keySet({ keys, passedOver, logKeys, handovers, reached: new Map(), unusedHandovers, endedLogs, crypto });
}

function keySet(parts: Omit<KeySet, "trusting" | "has">): KeySet {
  const { logKeys, handovers, crypto } = parts;
  const keyOf = async (vkey: string) => {
    const key = await parseVerifierKey(vkey, crypto);
    if (key === undefined) throw new KeySetError("a verifier key is NAME+ID+KEY, as the key set has them");
    return key;
  };
  return {
    ...parts,

    async has(vkey) {
      const key = await keyOf(vkey);
      return logKeys.some(({ publicKey }) => isSame(publicKey, key.publicKey));
    },

    async trusting(vkeys) {
      const first: NoteKey[] = [];
      for (const text of vkeys) first.push(await keyOf(text));
      const { trusted, reached } = await trustedKeys(first, handovers, logKeys, crypto);
      const ids = new Set(trusted.map(({ keyId }) => keyId));
      const keys = new Map([...parts.keys].filter(([keyId]) => ids.has(keyId)));
      return keySet({ ...parts, keys, logKeys: trusted, reached });
    },
  };
}

/** A compromised key hands nothing over: whoever has it could name anybody. */
async function trustedKeys(
  first: readonly NoteKey[],
  handovers: readonly HandoverClaim[],
  keys: readonly LogKey[],
  crypto: Crypto,
): Promise<{ trusted: readonly LogKey[]; reached: Map<string, Reached> }> {
  const isSameKey = (key: NoteKey) => (other: NoteKey) => isSame(other.publicKey, key.publicKey);
  let trusted = keys.filter((key) => first.some(isSameKey(key)));
  const reached = new Map<string, Reached>();
  for (;;) {
    const now: Reached[] = [];
    for (const by of handovers) {
      const { to, checkpoint } = by;
      const signers = (await logSigners(by, keys, crypto)) ?? [];
      const from = signers.find((key) => trusted.includes(key) && reasonOfKey(key) === "OK");
      if (to.name === checkpoint.origin && from !== undefined && signers.some(isSameKey(to)))
        if (await isIncluded(by, checkpoint, crypto)) now.push({ by, from });
    }
    const more = keys.filter((key) => {
      if (trusted.includes(key)) return true;
      const how = now.find(({ by }) => isSameKey(key)(by.to));
      if (how !== undefined) reached.set(key.keyId, how);
      return how !== undefined;
    });
    if (more.length === trusted.length) return { trusted, reached };
    trusted = more;
  }
}

function parseMembers(text: string): Members {
  let whole: JsonTree;
  try {
    // Editors of Windows put a byte order mark before a text.
    whole = parseJson(text.replace(/^\ufeff/, ""));
  } catch (error) {
    if (error instanceof SyntaxError) throw new KeySetError("the key set is not JSON; take what jwks.json answers");
    throw new KeySetError(`the key set can be read in two ways: ${(error as Error).message}`);
  }
  return whole instanceof Map ? (whole as Members) : new Map();
}

/** Whether there are more keys: spans of the others would look as if they were forged. */
function isPage(whole: Members, keys: number): boolean {
  const token = whole.get("next_page_token") ?? whole.get("nextPageToken") ?? "";
  const total = whole.get("total_keys") ?? whole.get("totalKeys");
  return token !== "" || (total !== undefined && numberOf(total) !== keys);
}

/** False for a key of another kind, which RFC 7517, 5 has passed over. */
function isEd25519(jwk: Members, at: string): boolean {
  const secret = ["d", "k", "priv"].find((name) => jwk.has(name));
  if (secret !== undefined)
    throw new KeySetError(
      `${at} HAS A PRIVATE KEY (${secret}): whoever has read it can sign with it. Replace the key, destroy the file, and verify by public keys`,
    );
  return textAt(jwk.get("kty"), `${at}.kty`) === "OKP" && textAt(jwk.get("crv"), `${at}.crv`) === "Ed25519";
}

async function readKey(jwk: Members, at: string, crypto: Crypto): Promise<{ key: VerifyingKey; inLogs: LogKey[] }> {
  const publicKey = readPublicKey(jwk, at);
  const keyId = jwk.get("kid");
  if (typeof keyId !== "string" || keyId === "") throw new KeySetError(`${at}.kid is missing`);
  const state = states.find((known) => known === jwk.get("state"));
  if (state === undefined) throw new KeySetError(`${at}.state must be one of ${states.join(", ")}`);
  const [validFrom, validUntil, compromisedAt] = ["valid_from", "valid_until", "compromised_at"].map((name) =>
    readDate(jwk.get(name), `${at}.${name}`),
  );
  const key: VerifyingKey = { keyId, publicKey, state, validFrom, validUntil, compromisedAt };
  const marked = jwk.get("compromised_log") ?? undefined;
  const compromisedLog = marked === undefined ? undefined : readHead(marked, `${at}.compromised_log`);
  const inLogs: LogKey[] = [];
  for (const [i, vkey] of listAt(jwk.get("vkeys"), `${at}.vkeys`).entries()) {
    const named = await parseVerifierKey(textAt(vkey, `${at}.vkeys[${i}]`), crypto);
    if (named === undefined || !isSame(named.publicKey, publicKey))
      throw new KeySetError(`${at}.vkeys[${i}] must be a verifier key of the same key`);
    inLogs.push({ ...key, ...named, compromisedLog });
  }
  return { key, inLogs };
}

/** The public key, which must be for signatures, as RFC 8037 and RFC 7517 have it. */
function readPublicKey(jwk: Members, at: string): Uint8Array {
  if (jwk.has("alg") && !algorithms.includes(jwk.get("alg")))
    throw new KeySetError(`${at}.alg must be one of ${algorithms.join(", ")}, or left out`);
  if (jwk.has("use") && jwk.get("use") !== "sig") throw new KeySetError(`${at}.use must be sig, or left out`);
  const operations = jwk.get("key_ops");
  if (operations !== undefined && !(Array.isArray(operations) && operations.length === 1 && operations[0] === "verify"))
    throw new KeySetError(`${at}.key_ops must be ["verify"], or left out`);
  const x = jwk.get("x");
  const publicKey = typeof x === "string" ? canonicalBase64Url(x) : undefined;
  if (publicKey?.length !== publicKeyBytes)
    throw new KeySetError(`${at}.x must be ${publicKeyBytes} bytes in base64url, without padding`);
  return publicKey;
}

function readHead(value: JsonTree, at: string): Checkpoint {
  const head = membersAt(value, at);
  const root = base64At(head.get("root"), `${at}.root`);
  if (root.length !== hashBytes) throw new KeySetError(`${at}.root must be ${hashBytes} bytes`);
  return { origin: textAt(head.get("origin"), `${at}.origin`), size: indexAt(head.get("size"), `${at}.size`), root };
}

/** Releases of 0.1 list a handover that was not used among the others, with an empty proof. */
async function readHandover(value: JsonTree, at: string, crypto: Crypto): Promise<HandoverClaim | UnusedHandover> {
  const members = membersAt(value, at);
  const proof = textAt(members.get("proof"), `${at}.proof`);
  if (proof === "") return readUnusedHandover(value, at, crypto);
  const evidence = proofReader()(proof);
  if (evidence === undefined) throw new KeySetError(`${at} has no log proof`);
  return { ...evidence, ...(await readHandoverEntry(members, at, crypto)) };
}

async function readUnusedHandover(value: JsonTree, at: string, crypto: Crypto): Promise<UnusedHandover> {
  const members = membersAt(value, at);
  const { leaf } = await readHandoverEntry(members, at, crypto);
  const origin = textAt(members.get("origin"), `${at}.origin`);
  return { origin, index: indexAt(members.get("leaf_index"), `${at}.leaf_index`), leaf };
}

async function readHandoverEntry(
  members: Members,
  at: string,
  crypto: Crypto,
): Promise<{ leaf: Uint8Array; to: NoteKey }> {
  const entry = base64At(members.get("entry"), `${at}.entry`);
  const handover = parseHandover(entry);
  const to = handover && (await parseVerifierKey(handover.toVkey, crypto));
  if (to === undefined || hexText(await crypto.sha256(Uint8Array.from(to.publicKey))) !== handover?.toKeyDigest)
    throw new KeySetError(`${at} is not a handover's entry`);
  return { leaf: await leafHash(entry, crypto), to };
}

/** Digits behind the milliseconds, which are cut off. */
const pastMilliseconds = /(\.\d{3})\d{1,6}(?!\d)/;

/** Milliseconds since 1970 of a time in the forms of signed_at, with up to 9 digits of a fraction. */
function readDate(value: JsonTree | undefined, at: string): number | undefined {
  if (value === null || value === undefined) return undefined;
  const text = typeof value === "string" ? canonicalSignedAt(value.replace(pastMilliseconds, "$1")) : undefined;
  if (text === undefined) throw new KeySetError(`${at} must be a date of RFC 3339 in UTC, or null`);
  return signedAtMs(text);
}

function membersAt(value: JsonTree | undefined, at: string): Members {
  if (!(value instanceof Map)) throw new KeySetError(`${at} must be an object`);
  return value as Members;
}

/** Empty where it is missing. */
function listAt(value: JsonTree | undefined, at: string): readonly JsonTree[] {
  if (value === null || value === undefined) return [];
  if (!Array.isArray(value)) throw new KeySetError(`${at} must be a list`);
  return value as readonly JsonTree[];
}

function textAt(value: JsonTree | undefined, at: string): string {
  if (typeof value !== "string") throw new KeySetError(`${at} must be text`);
  return value;
}

function base64At(value: JsonTree | undefined, at: string): Uint8Array {
  const bytes = canonicalBase64(textAt(value, at));
  if (bytes === undefined) throw new KeySetError(`${at} must be base64`);
  return bytes;
}

function indexAt(value: JsonTree | undefined, at: string): number {
  const index = numberOf(value);
  if (!Number.isSafeInteger(index) || index < 0) throw new KeySetError(`${at} must be a whole number, not below 0`);
  return index + 0; // not -0
}

/** NaN for what is no number. */
function numberOf(value: JsonTree | undefined): number {
  return value instanceof JsonNumber ? Number(value.spelling) : Number.NaN;
}
