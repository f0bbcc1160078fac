/** A tenant that signs without a service: five keys that follow each other by the day, and two logs with their handovers. */
import { createHash, hash } from "node:crypto";
import { buildHandover, buildLogStatement } from "../../../src/attestation/log-entry.ts";
import { signSpan, spanDigest } from "../../../src/attestation/sign-statement.ts";
import { formatSignedAt } from "../../../src/attestation/statement.ts";
import { signingKey } from "../../../src/crypto/ed25519.ts";
import type { SigningKey } from "../../../src/crypto/ed25519-contract.ts";
import { type Checkpoint, checkpointText } from "../../../src/tlog/checkpoint.ts";
import { tlogProofText } from "../../../src/tlog/inclusion-proof.ts";
import { emptyTree, growTree, leafHash, type Tree } from "../../../src/tlog/merkle.ts";
import { inclusionPath } from "../../../src/tlog/proof-writer.ts";
import { signNote } from "../../../src/tlog/signed-note.ts";
import { verifierKey } from "../../../src/tlog/verifier-key.ts";
import { readParts, type SignedParts } from "./evidence.ts";
import type { SpanParts } from "./random-spans.ts";

export interface TenantKey {
  number: number;
  /** 32 hex digits. */
  keyId: string;
  key: SigningKey;
  validFromMs: number;
  /** A minute past the start of the next key. */
  validUntilMs: number;
}

export interface Handover {
  entry: Uint8Array;
  proof: string;
  origin: string;
  index: number;
}

export interface TestTenantLog {
  origin: string;
  handovers: readonly Handover[];
  head(): Checkpoint;
  /** One batch, proven in a checkpoint of these keys. */
  sign(batch: readonly SpanParts[], signedAtMs: number, keys: readonly TenantKey[]): SignedParts[];
  /** Writes to the log that one key follows another; without a proof where nobody signed that. */
  handOver(from: TenantKey, to: TenantKey, signers: readonly TenantKey[], origin?: string): Handover;
}

export type TestTenant = ReturnType<typeof testTenant>;

export const firstDayMs = Date.parse("2026-03-01T12:00:00.000Z");
const dayMs = 86_400_000;
const minuteMs = 60_000;

export function testTenant(name: string, origin = `kms.example.com/${name}`) {
  const keys = Array.from({ length: 5 }, (_, i): TenantKey => {
    const seed = createHash("sha256").update(`${name} ${i}`).digest();
    const validFromMs = firstDayMs + i * dayMs;
    return {
      number: i + 1,
      keyId: hash("sha256", `id of ${name} ${i}`).slice(0, 32),
      key: signingKey(seed),
      validFromMs,
      validUntilMs: validFromMs + dayMs + minuteMs,
    };
  });
  const origins = [origin, `${origin}/1767323045`] as const;
  return {
    name,
    keys,
    logs: origins.map((origin) => testLog(name, origin)) as [TestTenantLog, TestTenantLog],

    signAlone(parts: SpanParts, by: TenantKey, signedAtMs: number): SignedParts {
      const signed = signSpan(readParts(parts), { tenant: name, keyId: by.keyId, key: by.key }, signedAtMs);
      const { statement, signature, signedAt } = signed;
      return {
        ...parts,
        tenant: name,
        signedAt,
        statement,
        evidence: { kind: "individual", keyId: by.keyId, signature },
      };
    },
  };
}

function testLog(tenant: string, origin: string): TestTenantLog {
  let tree: Tree = emptyTree;
  let root: Uint8Array = new Uint8Array(hash("sha256", "", "buffer"));
  const handovers: Handover[] = [];
  const head = () => ({ origin, size: tree.size, root });

  /** Proofs of the entries, which it appends. */
  function append(entries: readonly Uint8Array[], signers: readonly TenantKey[]): { index: number; proof: string }[] {
    const first = tree.size;
    const growth = growTree(tree, Buffer.concat(entries.map(leafHash)));
    [tree, root] = [growth.after, new Uint8Array(growth.root)];
    const checkpoint = signNote(checkpointText(head()), ...signers.map(({ key }) => ({ name: origin, key })));
    return entries.map((_, i) => {
      const index = first + i;
      return { index, proof: tlogProofText({ index, path: inclusionPath(growth, index), checkpoint }) };
    });
  }

  return {
    origin,
    handovers,
    head,

    sign(batch, signedAtMs, signers) {
      const signedAt = formatSignedAt(signedAtMs);
      const statements = batch.map((parts) => {
        const read = readParts(parts);
        const { traceId, spanId } = read;
        return Buffer.from(buildLogStatement({ traceId, spanId, digest: spanDigest(read), tenant, signedAt }));
      });
      return append(statements, signers).map(({ proof }, i) => ({
        ...batch[i]!,
        tenant,
        signedAt,
        statement: statements[i]!,
        evidence: { kind: "log", proof },
      }));
    },

    handOver(from, to, signers, name = origin) {
      const { publicKey } = to.key;
      const entry = Buffer.from(
        buildHandover({
          tenant,
          fromKeyId: from.keyId,
          toKeyId: to.keyId,
          toVkey: verifierKey(name, publicKey),
          toKeyDigest: hash("sha256", publicKey),
          signedAt: formatSignedAt(to.validFromMs),
        }),
      );
      const [{ index, proof }] = append([entry], signers) as [{ index: number; proof: string }];
      const handover = { entry, proof: signers.length === 0 ? "" : proof, origin, index };
      handovers.push(handover);
      return handover;
    },
  };
}
