/** A tenant's log with real keys, grown by hand as the service grows it: for whoever reads evidence. */
import { createHash, hash } from "node:crypto";
import { signingKey } from "../../src/crypto/ed25519.ts";
import type { SigningKey } from "../../src/crypto/ed25519-contract.ts";
import { KmsError } from "../../src/errors.ts";
import { signCheckpoint } from "../../src/tlog/checkpoint.ts";
import { integrityKeys } from "../../src/otlp/integrity-attributes.ts";
import { buildHandover, buildLogStatement } from "../../src/attestation/log-entry.ts";
import { emptyTree, growTree, leafHash } from "../../src/tlog/merkle.ts";
import { readResourceSpans } from "../../src/otlp/resource-spans.ts";
import { spanDigest } from "../../src/attestation/sign-statement.ts";
import { formatSignedAt } from "../../src/attestation/statement.ts";
import { storedTree } from "../../src/tlog/stored-tree.ts";
import { logProofAlgorithm, tlogProofText } from "../../src/tlog/inclusion-proof.ts";
import { verifierKey } from "../../src/tlog/verifier-key.ts";
import { type Bytes, keyValue, len, message, stringValue } from "./otlp-wire.ts";
import { tilesOf } from "./stored-log.ts";

export interface TestKey {
  /** 32 hex digits. */
  keyId: string;
  key: SigningKey;
}

export interface Handover {
  fromKeyId: string;
  toKeyId: string;
  index: number;
  entry: Uint8Array;
  proof: string;
}

const startMs = Date.parse("2026-03-01T12:00:00.000Z");

/** The n-th key of a tenant: always the same one. */
export function testKey(number: number, tenant = "acme"): TestKey {
  const seed = createHash("sha256").update(`${tenant} ${number}`).digest();
  return { keyId: number.toString(16).padStart(32, "0"), key: signingKey(seed) };
}

export type TestLog = ReturnType<typeof testLog>;

/** What a log is, beside its name. */
interface Contents {
  entries: readonly Uint8Array[];
  handovers: readonly Handover[];
  keyNumber: () => number;
}

/** `like`: a fork of this one, with what it has. */
export function testLog({
  tenant = "acme",
  origin = `kms.example.com/${tenant}`,
  like,
}: {
  tenant?: string;
  origin?: string;
  like?: Contents;
} = {}) {
  const entries: Uint8Array[] = [...(like?.entries ?? [])];
  const leaves: Uint8Array[] = entries.map(leafHash);
  const handovers: Handover[] = [...(like?.handovers ?? [])];
  let keyNumber = like?.keyNumber() ?? 1;

  const add = (text: string) => {
    const entry = Buffer.from(text);
    leaves.push(leafHash(entry));
    return entries.push(entry) - 1;
  };
  const head = (size = leaves.length) => {
    const { root } = growTree(emptyTree, Buffer.concat(leaves.slice(0, size)));
    return { origin, size, root: new Uint8Array(root) };
  };
  /** The signed note of the tree as it was at a size. */
  const checkpoint = (size = leaves.length, ...keys: TestKey[]) => {
    const signers = keys.length > 0 ? keys : [testKey(keyNumber, tenant)];
    return signCheckpoint(head(size), ...signers.map(({ key }) => key));
  };
  const handoverText = (from: TestKey, to: TestKey) =>
    buildHandover({
      tenant,
      fromKeyId: from.keyId,
      toKeyId: to.keyId,
      toVkey: verifierKey(origin, to.key.publicKey),
      toKeyDigest: hash("sha256", to.key.publicKey),
      signedAt: formatSignedAt(startMs + entries.length),
    });
  /** The proofs of entries in the tree as it is. */
  const proofs = async (first: number, count: number, ...keys: TestKey[]) => {
    if (count === 0) return [];
    const note = checkpoint(leaves.length, ...keys);
    const paths = await storedTree(tilesOf(leaves).read).inclusionPaths(first, count, leaves.length);
    return paths.map((path, i) => tlogProofText({ index: first + i, path, checkpoint: note }));
  };

  return {
    tenant,
    origin,
    entries,
    handovers,
    add,
    head,
    checkpoint,
    proofs,
    keyNumber: () => keyNumber,
    key: () => testKey(keyNumber, tenant),
    vkey: () => verifierKey(origin, testKey(keyNumber, tenant).key.publicKey),

    /** Signs spans as one group, and puts their evidence on them. */
    async sign(...spans: Bytes[]): Promise<Bytes[]> {
      const first = entries.length;
      const signedAt = formatSignedAt(startMs + first);
      for (const span of spans) add(logStatementOf(span, tenant, signedAt));
      const texts = await proofs(first, spans.length);
      return spans.map((span, i) => withLogProof(span, { proof: texts[i]!, tenant, signedAt }));
    },

    /** Hands over to the tenant's next key, as a rotation does. */
    async rotate(): Promise<Handover> {
      const [from, to] = [testKey(keyNumber, tenant), testKey(keyNumber + 1, tenant)];
      const index = add(handoverText(from, to));
      const [proof] = await proofs(index, 1, from, to);
      const handover = { fromKeyId: from.keyId, toKeyId: to.keyId, index, entry: entries[index]!, proof: proof! };
      handovers.push(handover);
      keyNumber += 1;
      return handover;
    },

    /** Hands over to the next key, which then does not come into use: as releases of 0.1 may. */
    announce(): Handover {
      const [from, to] = [testKey(keyNumber, tenant), testKey(keyNumber + 1, tenant)];
      const index = add(handoverText(from, to));
      const handover = { fromKeyId: from.keyId, toKeyId: to.keyId, index, entry: entries[index]!, proof: "" };
      handovers.push(handover);
      return handover;
    },

    /** Goes on with the next key without a handover, as when a key is marked as compromised. */
    replaceKey(): void {
      keyNumber += 1;
    },
  };
}

/** The entry that a span becomes. */
export function logStatementOf(span: Bytes, tenant: string, signedAt: string): string {
  const [read] = readResourceSpans(inResource(span));
  if (read === undefined || read instanceof KmsError) throw new Error("the test's span cannot be read");
  const { traceId, spanId } = read;
  return buildLogStatement({ traceId, spanId, digest: spanDigest(read), tenant, signedAt });
}

/** The span with what SignSpans answers as its attributes. */
export function withLogProof(
  span: Bytes,
  { proof, tenant, signedAt }: { proof: string; tenant: string; signedAt: string },
): Bytes {
  const attributes = [
    [integrityKeys.algorithm, logProofAlgorithm],
    [integrityKeys.value, Buffer.from(proof).toString("base64")],
    [integrityKeys.tenant, tenant],
    [integrityKeys.signedAt, signedAt],
  ] as const;
  return message(span, ...attributes.map(([key, value]) => len(9, keyValue(key, stringValue(value)))));
}

/** A ResourceSpans with these spans. */
export function inResource(...spans: Bytes[]): Bytes {
  return len(2, message(...spans.map((each) => len(2, each))));
}
