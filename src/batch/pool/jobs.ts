/** What a thread of the pool does, by name, as both sides of its border know it: plain data in and out. */
import type { SigningKey } from "../../crypto/ed25519-contract.ts";
import type { KmsErrorCode, FieldViolation } from "../../errors.ts";
import type { Entering, LogBatch } from "../enter.ts";
import type { Growth, Tree } from "../../tlog/merkle.ts";
import type { LogPosition, ProvenBatch, ProvenSlice } from "../prove.ts";
import type { BatchSigner, SignedBatch } from "../sign-individually.ts";

/** A signing key as the pool takes it. */
export interface PoolKey {
  readonly keyId: string;
  readonly key: SigningKey;
  /** Calls `listener` once the key is destroyed: the pool then overwrites its copies of the seed. */
  onDestroy(listener: () => void): void;
}

/** A thread holds at most this many keys: the main thread sees to it. */
export const maxKeys = 64;

/** Names a key of the main thread in a thread: never used again for another. */
export type KeyHandle = number;

/** How a thread holds its keys. */
export interface KeyMemory {
  keys: number;
  /** Whether every page that holds one is locked into memory. */
  locked: boolean;
}

export interface Jobs {
  /** Takes a key over from shared memory of 32 bytes, which is overwritten. */
  importKey(key: KeyHandle, seed: SharedArrayBuffer): void;
  forgetKey(key: KeyHandle): void;
  sign(batch: Uint8Array, by: Omit<BatchSigner, "key"> & { key: KeyHandle }): SignedBatch;
  enter(batch: Uint8Array, about: Entering): LogBatch;
  grow(before: Tree, leaves: readonly Uint8Array[]): Growth;
  prove(batch: ProvenBatch, place: LogPosition, fromSpan: number): ProvenSlice;
  keyMemory(): KeyMemory;
  /** Forgets every key and ends the thread. */
  end(): void;
}

/** A job as a message; its answer has its id. */
export interface Call {
  id: number;
  does: keyof Jobs;
  args: unknown[];
}

export interface Answer {
  id: number;
  value?: unknown;
  error?: PlainError;
}

/** A KmsError without its class, which structured cloning drops. */
export interface PlainError {
  code: KmsErrorCode;
  message: string;
  violations: readonly FieldViolation[];
}
