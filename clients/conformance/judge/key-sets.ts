/** Key sets of a tenant: as the service serves them, with keys in any state, and such as must be refused. */
import type { Random } from "../../../test/crash/random.ts";
import { verifierKey } from "../../../src/tlog/verifier-key.ts";
import { base64 } from "./evidence.ts";
import type { TenantKey, TestTenant } from "./test-tenant.ts";

type Json = Record<string, unknown>;

export interface KeySetText {
  jwks: string;
  vkeys?: readonly string[];
}

export const states = ["PENDING", "ACTIVE", "RETIRED", "DISABLED", "COMPROMISED", "DESTROY_SCHEDULED", "DESTROYED"];

function dateText(ms: number, r: Random): string {
  const iso = new Date(ms).toISOString();
  return r.pick([iso, iso, iso.replace("Z", "000000Z"), iso.replace("Z", "999Z"), iso.replace(/\.000Z$/, "Z")])!;
}

/** A key as it is while nothing is wrong with it. */
function jwkOf({ key, keyId, number, validFromMs, validUntilMs }: TenantKey, { logs, keys }: TestTenant): Json {
  const isLast = number === keys.length;
  return {
    kty: "OKP",
    crv: "Ed25519",
    x: Buffer.from(key.publicKey).toString("base64url"),
    kid: keyId,
    alg: "EdDSA",
    use: "sig",
    state: isLast ? "ACTIVE" : "RETIRED",
    version: number,
    valid_from: new Date(validFromMs).toISOString(),
    valid_until: isLast ? null : new Date(validUntilMs).toISOString(),
    compromised_at: null,
    vkeys: logs.map(({ origin }) => verifierKey(origin, key.publicKey)),
    compromised_log: null,
  };
}

function handoversOf(tenant: TestTenant): Json[] {
  return tenant.logs.flatMap(({ handovers }, log) =>
    handovers.map(({ entry, proof, origin, index }) => ({
      log: log + 1,
      origin,
      leaf_index: index,
      entry: base64(entry),
      proof,
    })),
  );
}

export function goodKeySet(tenant: TestTenant): { keys: Json[]; handovers: Json[] } {
  return { keys: tenant.keys.map((key) => jwkOf(key, tenant)), handovers: handoversOf(tenant) };
}

/** Keys of kinds that a reader passes over. */
export const laterKeys: readonly Json[] = [
  { kty: "AKP", alg: "ML-DSA-44", pub: "AAAA", kid: "later", state: "ACTIVE" },
  { kty: "EC", crv: "P-256" },
  { kty: "RSA", state: 7, vkeys: "none" },
  { kty: "" },
  { kty: "OKP", crv: "Ed448", x: "AAAA", kid: "" },
  { kty: "OKP", crv: "X25519", use: "enc" },
];

/** Some of the keys, in any state, with any times; and perhaps trusting some alone. */
export function randomKeySet(tenant: TestTenant, r: Random): KeySetText {
  const { keys, handovers } = goodKeySet(tenant);
  const kept = keys.filter(() => r.chance(0.9)).map((key) => (r.chance(0.5) ? changedKey(key, tenant, r) : key));
  if (r.chance(0.2)) kept.splice(r.below(kept.length + 1), 0, r.pick(laterKeys)!);
  const members = {
    keys: r.chance(0.5) ? kept : kept.reverse(),
    ...(r.chance(0.9) && { handovers: handovers.filter(() => r.chance(0.95)) }),
    ...(r.chance(0.1) && { total_keys: kept.length, next_page_token: "" }),
    ...(r.chance(0.05) && { "x-more": { keys: null } }),
    ...(r.chance(0.1) && { unused_handovers: handovers.slice(0, 1), ended_logs: endedLogs(tenant) }),
  };
  const mark = r.chance(0.1) ? "\ufeff" : "";
  return {
    jwks: mark + JSON.stringify(members, null, r.below(2)),
    ...(r.chance(0.4) && { vkeys: trusted(tenant, r) }),
  };
}

/** Logs as if they had ended where they are. */
export function endedLogs({ logs }: TestTenant): Json[] {
  return logs.map((each, log) => {
    const { origin, size, root } = each.head();
    return { log: log + 1, origin, size, root: base64(root) };
  });
}

function changedKey(key: Json, { logs }: TestTenant, r: Random): Json {
  const { origin, size, root } = r.pick(logs)!.head();
  const changes: (() => Json)[] = [
    () => ({ state: r.pick(states) }),
    () => ({ state: r.pick(states) }),
    () => ({ valid_from: r.pick([null, undefined]), valid_until: r.pick([null, undefined]) }),
    () => ({ valid_from: dateText(Date.parse(key.valid_from as string) + r.below(120_000), r) }),
    () => ({ valid_until: dateText(Date.parse(key.valid_from as string) + r.below(86_400_000), r) }),
    () => ({ compromised_at: "2026-05-01T00:00:00.000Z" }),
    () => ({
      state: "COMPROMISED",
      compromised_at: "2026-05-01T00:00:00.000Z",
      compromised_log: { log: 1, origin, size, root: base64(root) },
    }),
    () => ({
      compromised_at: "2026-05-01T00:00:00.000Z",
      compromised_log: { origin, size, root: base64(r.bytes(32)) },
    }),
    () => ({ vkeys: r.pick([undefined, null, [], [verifierKey(origin, Buffer.from(key.x as string, "base64url"))]]) }),
    () => ({ vkeys: [verifierKey("kms.example.com/other", Buffer.from(key.x as string, "base64url"))] }),
    () => ({ alg: r.pick(["Ed25519", undefined]), use: undefined, key_ops: r.pick([["verify"], undefined]) }),
    () => ({ version: "1", comment: [{ d: "not the key's own" }] }),
  ];
  return r.chance(0.5) ? { ...key, ...r.pick(changes)!() } : { ...key, ...r.pick(changes)!(), ...r.pick(changes)!() };
}

function trusted({ keys, logs }: TestTenant, r: Random): string[] {
  const name = r.chance(0.9) ? logs[0].origin : "kms.example.com/other";
  return Array.from({ length: 1 + r.below(2) }, () => verifierKey(name, r.pick(keys)!.key.publicKey));
}

/** Each is refused, and says what is wrong with it by the name of the change. */
export function refusedKeySets(tenant: TestTenant, other: TestTenant): (KeySetText & { what: string })[] {
  const good = goodKeySet(tenant);
  const [first, ...rest] = good.keys as [Json, ...Json[]];
  const x = first.x as string;
  const withKey = (what: string, change: Json) => ({
    what,
    jwks: JSON.stringify({ ...good, keys: [{ ...first, ...change }, ...rest] }),
  });
  const withHandover = (what: string, change: Json) => ({
    what,
    jwks: JSON.stringify({ ...good, handovers: [{ ...good.handovers[0], ...change }] }),
  });
  const text = (what: string, jwks: string) => ({ what, jwks });
  const whole = JSON.stringify(good);
  const foreign = verifierKey(tenant.logs[0].origin, other.keys[0]!.key.publicKey);
  const vkey = (first.vkeys as string[])[0]!;
  const head = { log: 1, origin: "kms.example.com/acme", size: 3, root: base64(new Uint8Array(32)) };
  const entry = good.handovers[0]!.entry as string;
  return [
    text("nothing", ""),
    text("no JSON", whole.slice(0, -1)),
    text("null", "null"),
    text("a list", "[]"),
    text("a number", "7"),
    text("no keys", JSON.stringify({ handovers: [] })),
    text("keys that are no list", JSON.stringify({ keys: first })),
    text("a key that is null", JSON.stringify({ keys: [null] })),
    text("a key that is text", JSON.stringify({ keys: ["key"] })),
    text("a key twice", JSON.stringify({ ...good, keys: [first, first] })),
    text("one id twice", JSON.stringify({ ...good, keys: [first, { ...rest[0], kid: first.kid }] })),
    text("a member twice", whole.replace('"kty"', '"state":"ACTIVE","kty"')),
    text("a member twice, once escaped", whole.replace('"kty"', '"\\u0073tate":"ACTIVE","kty"')),
    text("keys twice", whole.replace('{"keys"', '{"keys":[],"keys"')),
    text("a member twice where nothing reads it", whole.replace("{", '{"more":{"a":1,"a":2},')),
    text("two byte order marks", `\ufeff\ufeff${whole}`),
    text("a no-break space behind", `${whole}\u00a0`),
    text("a page", JSON.stringify({ ...good, next_page_token: "x" })),
    text("a page by its other name", JSON.stringify({ ...good, nextPageToken: "x" })),
    text("fewer keys than there are", JSON.stringify({ ...good, total_keys: good.keys.length + 1 })),
    text("fewer keys by its other name", JSON.stringify({ ...good, totalKeys: good.keys.length + 1 })),
    text("handovers that are no list", JSON.stringify({ ...good, handovers: {} })),
    withKey("d", { d: "secret" }),
    withKey("an empty d", { d: "" }),
    withKey("a d of null", { d: null }),
    withKey("a k", { k: "secret" }),
    withKey("a priv on a key of another kind", { kty: "AKP", priv: "secret" }),
    withKey("no kty", { kty: undefined }),
    withKey("a kty that is a number", { kty: 7 }),
    withKey("no crv", { crv: undefined }),
    withKey("alg RS256", { alg: "RS256" }),
    withKey("alg null", { alg: null }),
    withKey("alg in other letters", { alg: "eddsa" }),
    withKey("use enc", { use: "enc" }),
    withKey("use null", { use: null }),
    withKey("key_ops sign", { key_ops: ["sign"] }),
    withKey("key_ops sign and verify", { key_ops: ["sign", "verify"] }),
    withKey("key_ops empty", { key_ops: [] }),
    withKey("key_ops text", { key_ops: "verify" }),
    withKey("key_ops null", { key_ops: null }),
    withKey("no x", { x: undefined }),
    withKey("x padded", { x: `${x}=` }),
    withKey("x in base64", { x: `${x.slice(0, -2)}+/` }),
    withKey("x with other last bits", { x: x.slice(0, -1) + nextLetter(x.at(-1)!) }),
    withKey("x of 31 bytes", { x: Buffer.alloc(31, 7).toString("base64url") }),
    withKey("x of 33 bytes", { x: Buffer.alloc(33, 7).toString("base64url") }),
    withKey("x with a line feed", { x: `${x}\n` }),
    withKey("x that is a number", { x: 7 }),
    withKey("no kid", { kid: undefined }),
    withKey("an empty kid", { kid: "" }),
    withKey("a kid that is a number", { kid: 7 }),
    withKey("no state", { state: undefined }),
    withKey("another state", { state: "SUSPENDED" }),
    withKey("a state in small letters", { state: "active" }),
    withKey("a state with its prefix", { state: "KEY_STATE_ACTIVE" }),
    withKey("a state that is null", { state: null }),
    withKey("a date that is none", { valid_from: "yesterday, perhaps" }),
    withKey("a date that is a number", { valid_until: 1_767_323_045_678 }),
    withKey("a date that is empty", { compromised_at: "" }),
    withKey("a thirteenth month", { valid_from: "2026-13-01T00:00:00.000Z" }),
    withKey("a date that is an object", { valid_from: {} }),
    withKey("vkeys that are text", { vkeys: vkey }),
    withKey("a vkey that is a number", { vkeys: [7] }),
    withKey("a vkey of another key", { vkeys: [foreign] }),
    withKey("a vkey with another id", { vkeys: [vkey.replace(/\+[0-9a-f]{8}\+/, "+00000000+")] }),
    withKey("a vkey in capitals", { vkeys: [vkey.replace(/\+[0-9a-f]{8}\+/, (id) => id.toUpperCase())] }),
    withKey("a vkey without a name", { vkeys: [vkey.replace(/^[^+]+/, "")] }),
    withKey("a vkey of another algorithm", { vkeys: [otherAlgorithm(vkey)] }),
    withKey("a head that is text", { compromised_log: "x" }),
    withKey("a head that is an empty text", { compromised_log: "" }),
    withKey("a head that is false", { compromised_log: false }),
    withKey("a head that is a list", { compromised_log: [] }),
    withKey("a head without origin", { compromised_log: { ...head, origin: undefined } }),
    withKey("a head of a size that is text", { compromised_log: { ...head, size: "3" } }),
    withKey("a head of a size below 0", { compromised_log: { ...head, size: -1 } }),
    withKey("a head of a broken size", { compromised_log: { ...head, size: 1.5 } }),
    withKey("a head of a size past 2^53", { compromised_log: { ...head, size: 2 ** 53 } }),
    withKey("a head with a root of 31 bytes", { compromised_log: { ...head, root: base64(new Uint8Array(31)) } }),
    withKey("a head with a root in base64url", { compromised_log: { ...head, root: `${"_".repeat(43)}=` } }),
    withKey("a head without a root", { compromised_log: { ...head, root: undefined } }),
    withHandover("an entry that is no base64", { entry: `${entry}*` }),
    withHandover("an entry that is no handover", { entry: base64("{}") }),
    withHandover("no entry", { entry: undefined }),
    withHandover("no proof", { proof: undefined }),
    withHandover("a proof that is none", { proof: "x" }),
    withHandover("an announcement without origin", { proof: "", origin: undefined }),
    withHandover("an announcement without an index", { proof: "", leaf_index: undefined }),
    withHandover("an announcement with an index that is text", { proof: "", leaf_index: "1" }),
    { what: "a first vkey that is none", jwks: whole, vkeys: ["x"] },
    { what: "a first vkey with another id", jwks: whole, vkeys: [vkey.replace(/\+[0-9a-f]{8}\+/, "+00000000+")] },
  ];
}

const url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

function nextLetter(letter: string): string {
  return url[url.indexOf(letter) + 1]!;
}

function otherAlgorithm(vkey: string): string {
  const [name, , key] = /^([^+]+)\+([0-9a-f]{8})\+(.+)$/.exec(vkey)!.slice(1) as [string, string, string];
  const bytes = Buffer.from(key, "base64");
  bytes[0] = 4;
  return `${name}+00000000+${bytes.toString("base64")}`;
}
