/**
 * The content of a heads file: JSON with its members in one order, the last of which is `mac`, HMAC-SHA-256 over all before it and a closing
 * brace. Its key is HKDF-Expand-SHA-256(store key, "fluo-kms/v1/heads", 32), so that only a service of the same store writes one.
 */
import { createHmac, createSecretKey, type KeyObject, timingSafeEqual } from "node:crypto";
import type { NotedHeads } from "../heads-store.ts";
import { headsFormat } from "../sqlite/wal/noted-commits.ts";

export interface HeadsContent extends NotedHeads {
  storeId: string;
  /** Grows by one with each write: of two files the one with more counts. */
  generation: number;
  /** When the first of these files was written, without a break. */
  since: Date;
  writtenAt: Date;
}

const macMember = /,"mac":"([0-9a-f]{64})"\}\n$/;

/** Derives the key of heads files. HKDF-Expand of one block is one HMAC. */
export function headsKey(storeKey: KeyObject): KeyObject {
  return createSecretKey(createHmac("sha256", storeKey).update("fluo-kms/v1/heads\x01", "latin1").digest());
}

export function encodeHeads(content: HeadsContent, key: KeyObject): string {
  const { storeId, generation, since, writtenAt, counted, writersCounted, writers, logs, keys } = content;
  const body = JSON.stringify({
    format: headsFormat,
    store_id: storeId,
    generation,
    since: since.toISOString(),
    written_at: writtenAt.toISOString(),
    commits: counted?.commits ?? null,
    log_heads: counted ? hex(counted.logHeads) : null,
    audit_heads: counted ? hex(counted.auditHeads) : null,
    writers_counted: writersCounted,
    writers: writers.map(({ writerId, sequence, mac }) => ({ writer_id: writerId, sequence, mac: hex(mac) })),
    logs: logs.map(({ tenantId, number, size, root }) => ({ tenant_id: tenantId, number, size, root: hex(root) })),
    keys: keys.map(({ tenantId, purpose, keyId, version, state }) => ({
      tenant_id: tenantId,
      purpose,
      key_id: keyId,
      version,
      state,
    })),
  });
  return `${body.slice(0, -1)},"mac":"${hex(macOf(body, key))}"}\n`;
}

/** Undefined for what was not written under this key, or is not as it was written. Without a key nothing is authenticated. */
export function decodeHeads(bytes: Uint8Array, key: KeyObject | undefined): HeadsContent | undefined {
  const text = Buffer.from(bytes).toString("utf8");
  const [member, mac] = macMember.exec(text) ?? [];
  if (member === undefined || mac === undefined) return undefined;
  const body = `${text.slice(0, -member.length)}}`;
  if (key !== undefined && !timingSafeEqual(Buffer.from(mac, "hex"), macOf(body, key))) return undefined;
  try {
    const read = JSON.parse(body) as Written;
    return read.format === headsFormat ? contentOf(read) : undefined;
  } catch {
    return undefined;
  }
}

interface Written {
  format: string;
  store_id: string;
  generation: number;
  since: string;
  written_at: string;
  commits: number | null;
  log_heads: string | null;
  audit_heads: string | null;
  writers_counted: number;
  writers: { writer_id: string; sequence: number; mac: string }[];
  logs: { tenant_id: string; number: number; size: number; root: string }[];
  keys: {
    tenant_id: string;
    purpose: HeadsContent["keys"][number]["purpose"];
    key_id: string;
    version: number;
    state: HeadsContent["keys"][number]["state"];
  }[];
}

/** Converts an authentic file, whose members are what a service wrote. */
function contentOf({ commits, log_heads, audit_heads, ...read }: Written): HeadsContent {
  return {
    storeId: read.store_id,
    generation: read.generation,
    since: new Date(read.since),
    writtenAt: new Date(read.written_at),
    counted: commits === null ? undefined : { commits, logHeads: unhex(log_heads!), auditHeads: unhex(audit_heads!) },
    writersCounted: read.writers_counted,
    writers: read.writers.map(({ writer_id, sequence, mac }) => ({ writerId: writer_id, sequence, mac: unhex(mac) })),
    logs: read.logs.map(({ tenant_id, number, size, root }) => ({
      tenantId: tenant_id,
      number,
      size,
      root: unhex(root),
    })),
    keys: read.keys.map(({ tenant_id, purpose, key_id, version, state }) => ({
      tenantId: tenant_id,
      purpose,
      keyId: key_id,
      version,
      state,
    })),
  };
}

function macOf(body: string, key: KeyObject): Buffer {
  return createHmac("sha256", key).update(body, "utf8").digest();
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function unhex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "hex"));
}
