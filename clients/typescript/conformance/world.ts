/** The program's input, and what it has in common with itself. */
import { readFileSync } from "node:fs";
import { createGrpcKms, type GrpcKms } from "@fluo/kms/node";

/** Fields are there where the command needs them: see clients/conformance/README.md. */
export interface World {
  service: string;
  connect: string;
  scenario: string;
  vectors: string;
  wycheproof: string | null;
  keys: string;
  evidence: string[];
  cases: string;
  out: string;
  work: string;
  expect?: Reasons;
  expectService?: Reasons;
  tls: { service: string; ca: string; otherCa: string; certificate: string; key: string };
  tokens: [first: string, second: string, bad: string];
  tenant: string;
  batches: number;
  spansPerBatch: number;
  backend: string;
  mode: "LOG" | "INDIVIDUAL";
  spans: number;
  warmUp?: number;
  queue: { spans: number; bytes: number } | null;
  exportTimeoutMs: number;
  batch: number;
  processorQueue: number;
  ratePerSecond: number | null;
  plain: boolean;
  shutdownMs: number;
  context: Record<string, string>;
  from: string;
  to: string;
  refusals: string;
  how: "flush" | "shutdown";
}

export interface Reasons {
  individual: string;
  log: string;
}

export interface Scenario {
  tenant: string;
  batch: string;
  spans: number;
  fields: { name: string; value: string }[];
  context: Record<string, string>;
  record: { id: string; email: string; note: string; alias: string; phone: string | null };
  file: string;
  refused: { tenant: string; code: string | number; reason: string; field: string };
}

export interface Evidence {
  language: string;
  individual: string;
  log: string;
  tokens: { name: string; token: string }[];
  record?: { email: string; note: string; alias: string };
  context: Record<string, string>;
  blob: string;
  sealed?: string;
}

export const readJson = <T>(file: string): T => JSON.parse(readFileSync(file, "utf8"));
export const base64 = (bytes: Uint8Array | string): string => Buffer.from(bytes).toString("base64");
export const fromBase64 = (text: string): Uint8Array<ArrayBuffer> => new Uint8Array(Buffer.from(text, "base64"));

export function grpcKms({ service }: World): GrpcKms {
  return createGrpcKms({ target: service, insecure: true });
}

/** The record of a scenario. */
export interface Person {
  id: string;
  email: string;
  note: Uint8Array;
  alias: string;
  phone?: string;
}

export const personNames = { email: "email", note: "note", alias: "alias", phone: "phone" } as const;

export function personOf({ record: { id, email, note, alias } }: Scenario): Person {
  return { id, email, note: fromBase64(note), alias };
}
