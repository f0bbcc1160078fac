/**
 * What Validate tries, in order, with the real provider and on a probe tenant in a store of its own that is thrown away. First the
 * provider's key, which costs nothing; then the provider's operations one by one, so that the one that is not allowed shows (3
 * cryptographic calls); what the service makes of them: a data and a signing key (4), one of them got again past the cache (1) and from
 * it, and what those keys are for; then what must be refused (3 by the provider). 11 in all.
 */
import { randomBytes } from "node:crypto";
import { create, toBinary } from "@bufbuild/protobuf";
import { SignSpanRequestSchema } from "../../../../gen/ts/fluo/kms/v1/signing_pb.ts";
import { SpanSchema } from "../../../../gen/ts/fluo/kms/v1/span_pb.ts";
import { canonicalPairs, type ProviderContext } from "../../../crypto/encryption-context.ts";
import { dataKeyBytes, deriveDataKeys } from "../../../envelope/key-material.ts";
import { KmsError } from "../../../errors.ts";
import type { Keyring } from "../../../keys/keyring.ts";
import type { ProviderWatch } from "../../../provider-keys/watch.ts";
import type { UsableDataKey, UsableSigningKey } from "../../../keys/usable-key.ts";
import { type FieldPlace, openField, readToken, sealField } from "../../../envelope/pii-field.ts";
import { type Lie, ProviderLie } from "../../../provider/distrust.ts";
import type { Provider, ProviderKeyReport, ProviderKeyState } from "../../../provider/provider.ts";
import { readSignSpanRequest } from "../../codec/sign-span.ts";
import { signSpan } from "../../../attestation/sign-statement.ts";
import { claimOf, isClaim, verdict } from "../../../attestation/verify-span.ts";
import type { CallContext } from "../../../call/context.ts";
import { expectSame, expectTrue, mustReject, type Probe, type Tried } from "./probe.ts";
import type { Time } from "../../../runtime/time.ts";

export interface ValidationParts {
  /** What would wrap a new key of this tenant. */
  providerOf(tenantId: string): ValidatedProvider;
  /** Of all but the tenants' keys, the current provider's first. */
  watches: readonly ProviderLook[];
  /** Keyrings over one store of their own: the second finds the first one's keys, uncached. */
  probeKeyrings(provider: Provider): { first: Keyring; second: Keyring; close(): void };
  time: Time;
}

type ProviderLook = Pick<ProviderWatch, "provider" | "current" | "look" | "probe">;

export interface ValidatedProvider {
  /** Not held back while its key is refused: what it says then is what an operator must read. */
  unguarded: Provider;
  /** As the service uses it. */
  watch: ProviderLook;
}

export interface Validated {
  tenantId: string;
  used: ValidatedProvider;
  call: CallContext;
  probe: Probe;
}

/** What the providers told of their keys; undefined where one told nothing. */
export interface Looks {
  key: ProviderKeyReport | undefined;
  others: (ProviderKeyState | undefined)[];
}

/** Beyond this AWS refuses signed requests. */
export const worstSkewMs = 300_000;

export async function lookAtKeys({ watches }: ValidationParts, { used, probe }: Validated): Promise<Looks> {
  const key = await stateSeen(probe, "describe_key", async (signal) => {
    const looked = used.watch.look(); // so that the service knows at once too what the operator is told here
    return used.unguarded.inspect(signal).finally(() => looked);
  });
  if (key?.clockSkewMs !== undefined) await clockSkew(probe, key.clockSkewMs);
  const states: Looks["others"] = [];
  for (const other of othersThan(used, watches)) {
    states.push(await stateSeen(probe, "describe_other_key", (signal) => other.provider.describe(signal)));
  }
  return { key, others: states };
}

/** Those that a tenant's own key has nothing to do with are left out. */
export function othersThan(used: ValidatedProvider, watches: readonly ProviderLook[]): readonly ProviderLook[] {
  return used.watch === watches[0] ? watches.slice(1) : [];
}

/** What was seen, although the test fails where the key is disabled. */
async function stateSeen<T extends ProviderKeyState>(
  probe: Probe,
  name: string,
  look: (signal: AbortSignal) => Promise<T>,
): Promise<T | undefined> {
  const seen: T[] = [];
  await probe.test(name, [], async (_, signal) => {
    const answer = await look(signal);
    seen.push(answer);
    if (answer.state === "disabled") throw new KmsError("PROVIDER_DENIED", `the key is ${answer.detail}`);
  });
  return seen[0];
}

function clockSkew(probe: Probe, skewMs: number): Promise<unknown> {
  return probe.test("clock_skew", [], () => {
    if (Math.abs(skewMs) <= worstSkewMs) return;
    const advice = "Set this machine's clock, by NTP: timedatectl set-ntp true";
    throw new KmsError("PROVIDER_DENIED", `${skewText(skewMs)}; a provider refuses signed requests then`, { advice });
  });
}

export function skewText(skewMs: number): string {
  const seconds = Math.round(Math.abs(skewMs) / 1_000);
  return `this machine's clock is ${seconds} s ${skewMs > 0 ? "ahead of" : "behind"} the provider's`;
}

export async function tryPaths(parts: ValidationParts, validated: Validated): Promise<void> {
  const { first, second, close } = parts.probeKeyrings(validated.used.watch.provider);
  try {
    const operations = await tryOperations(validated);
    const keys = await tryKeys(validated, { first, second, operations });
    const encrypted = await tryPii(validated, keys.data);
    const spans = await trySpans(parts, validated, { first, signing: keys.signing });
    await refuseAtProvider(validated, operations);
    if (validated.probe.sawLie) await validated.used.watch.probe(); // the service is not to believe it until it is asked
    await refuseHere(validated, { encrypted, spans });
  } finally {
    close();
  }
}

interface Wrapped {
  plaintext: Uint8Array;
  wrapped: Uint8Array;
  context: ProviderContext;
}

interface Operations {
  generated: Tried<Wrapped>;
  encrypted: Tried<Wrapped>;
  /** Gives what it opened, of whichever the provider would wrap. */
  decrypted: Tried<Wrapped>;
}

/** None needs a permission of another, but for something to decrypt. */
async function tryOperations({ tenantId, used, probe }: Validated): Promise<Operations> {
  const provider = used.unguarded;
  const context = { tenant_id: tenantId, purpose: "data", key_id: randomBytes(16).toString("hex") };
  const generated = await probe.ask("generate_data_key", [], async (_, signal) => ({
    ...(await provider.generateDataKey(context, signal)),
    context,
  }));
  const encrypted = await probe.ask("encrypt", [], async (_, signal) => {
    const plaintext = randomBytes(dataKeyBytes);
    return { plaintext, wrapped: await provider.encrypt(plaintext, context, signal), context };
  });
  const sample = encrypted.ok ? encrypted : generated;
  const decrypted = await probe.ask("decrypt", [sample], async ([given], signal) => {
    const opened = await provider.decrypt(given.wrapped, context, signal);
    expectSame(opened, given.plaintext);
    opened.fill(0);
    return given;
  });
  for (const made of [generated, encrypted]) if (made.ok) made.value.plaintext.fill(0);
  return { generated, encrypted, decrypted };
}

interface Keys {
  data: Tried<UsableDataKey>;
  signing: Tried<UsableSigningKey>;
}

/** Past the metrics of keys, as their cache is: those are about callers. */
async function tryKeys(
  { tenantId, call, probe }: Validated,
  { first, second, operations }: { first: Keyring; second: Keyring; operations: Operations },
): Promise<Keys> {
  const { generated, encrypted, decrypted } = operations;
  const { caller } = call;
  const data = await probe.ask("create_data_key", [generated, decrypted], (_, signal) =>
    first.activeDataKey(tenantId, { caller, signal }),
  );
  const signing = await probe.ask("create_signing_key", [encrypted, decrypted], (_, signal) =>
    first.activeSigningKey(tenantId, { caller, signal }),
  );
  const missed = await probe.ask("key_retrieval_cache_miss", [data], (_, signal) =>
    second.activeDataKey(tenantId, { caller, signal }),
  );
  await probe.test("key_retrieval_cache_hit", [missed], () => second.activeDataKey(tenantId, call));
  return { data, signing };
}

interface Encrypted {
  token: string;
  key: UsableDataKey;
  place: FieldPlace;
}

async function tryPii({ tenantId, probe }: Validated, data: Tried<UsableDataKey>): Promise<Tried<Encrypted>> {
  const place: FieldPlace = { tenantId, name: "email", contextPairs: canonicalPairs(new Map([["probe", "1"]])) };
  const value = randomBytes(24);
  const encrypted = await probe.test("encrypt_pii", [data], ([key]) => ({
    token: sealField(key, place, value),
    key,
    place,
  }));
  await probe.test("decrypt_pii", [encrypted], ([made]) => expectSame(opened(made), value));
  return encrypted;
}

function opened({ token, key, place }: Encrypted): Uint8Array {
  return openField(key.material, place, readToken(token));
}

/** Says whether the signature of the probe's span verifies for a span of this name. */
type Verify = (name: string) => Promise<boolean>;

async function trySpans(
  { time }: ValidationParts,
  { tenantId, call, probe }: Validated,
  { first, signing }: { first: Keyring; signing: Tried<UsableSigningKey> },
): Promise<Tried<Verify>> {
  const signed = await probe.test("sign_span", [signing], ([{ keyId, key }]) =>
    signSpan(probeSpan("probe"), { tenant: tenantId, keyId, key }, time.now().getTime()),
  );
  return probe.test("verify_span", [signed], async ([statement]) => {
    const verify: Verify = async (name) => {
      const claim = claimOf({ tenantId, span: probeSpan(name), signed: statement, logProof: undefined });
      if (!isClaim(claim)) return false;
      return verdict(claim, await first.publicKeys.find(tenantId, claim.keyId, call)).verified;
    };
    expectTrue(await verify("probe"));
    return verify;
  });
}

/** As a SignSpanRequest brings it. */
function probeSpan(name: string) {
  const span = create(SpanSchema, { traceId: Buffer.alloc(16, 1), spanId: Buffer.alloc(8, 1), name });
  return readSignSpanRequest(toBinary(SignSpanRequestSchema, create(SignSpanRequestSchema, { span }))).span;
}

/** Only where the provider opens what is right: what is refused for another reason proves nothing. */
async function refuseAtProvider({ tenantId, used, probe }: Validated, { decrypted }: Operations): Promise<void> {
  const refusal = (name: string, lie: Lie, change: (given: Wrapped) => Partial<Wrapped>) =>
    probe.ask(name, [decrypted], ([given], signal) => {
      const { wrapped, context } = { ...given, ...change(given) };
      return mustReject(() => used.unguarded.decrypt(wrapped, context, signal), new ProviderLie(lie))();
    });
  await refusal("refuse_wrong_context", "wrong-context", ({ context }) => ({
    context: { ...context, tenant_id: `${tenantId}.other` },
  }));
  await refusal("refuse_flipped_bit", "tampered-ciphertext", ({ wrapped }) => ({
    wrapped: used.unguarded.tampered(wrapped),
  }));
  await refusal("refuse_other_key", "tampered-ciphertext", ({ wrapped }) => ({ wrapped: asOfAnotherKey(wrapped) }));
}

async function refuseHere(
  { probe }: Validated,
  { encrypted, spans }: { encrypted: Tried<Encrypted>; spans: Tried<Verify> },
): Promise<void> {
  const refusal = (name: string, change: (made: Encrypted) => Partial<Encrypted>) =>
    probe.test(name, [encrypted], ([made]) => mustReject(() => opened({ ...made, ...change(made) }))());
  await refusal("refuse_wrong_tenant", ({ place }) => ({ place: { ...place, tenantId: `${place.tenantId}.other` } }));
  await refusal("refuse_wrong_field", ({ place }) => ({ place: { ...place, name: "phone" } }));
  await probe.test("refuse_changed_span", [spans], async ([verify]) => expectTrue(!(await verify("another name"))));
  await refusal("refuse_wrong_key", ({ key }) => ({
    key: { ...key, material: deriveDataKeys(randomBytes(dataKeyBytes)), destroy() {} },
  }));
}

/** Some providers wrap to text, as in `vault:v1:` and base64, which must stay such: else it is refused by its form and not by the key. */
function isText(bytes: Uint8Array): boolean {
  return bytes.every((byte) => byte > 0x20 && byte < 0x7f);
}

/** As long and of the same form, and nothing that this key ever wrapped. */
function asOfAnotherKey(wrapped: Uint8Array): Uint8Array {
  if (!isText(wrapped)) return randomBytes(wrapped.length);
  const body = wrapped.lastIndexOf(":".charCodeAt(0)) + 1;
  return wrapped.map((byte, index) => (index >= body && isLetter(byte) ? randomLetter() : byte));
}

function isLetter(byte: number): boolean {
  return /[A-Za-z]/.test(String.fromCharCode(byte));
}

function randomLetter(): number {
  return "a".charCodeAt(0) + (randomBytes(1)[0]! % 26);
}
