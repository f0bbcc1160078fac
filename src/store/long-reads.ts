/** The reads of a store that may look at many rows. They have a connection of their own, so that no write waits for them. */
import type { Store } from "./store.ts";

/** Names as keys, so that the compiler refuses what is no method of a store. */
const methods = {
  list: true,
  listKeys: true,
  due: true,
  destructionRequests: true,
  wrappedByOthers: true,
  countWrappedByOthers: true,
  counts: true,
  auditEvents: true,
  recentTenants: true,
  auditHeads: true,
  verifyAudit: true,
  logHeads: true,
  logHashes: true,
  logEntries: true,
  logHandovers: true,
  logCompromises: true,
  destructionsWaiting: true,
  unwitnessedDestructions: true,
  standing: true,
  refuseDamaged: true,
  newestHeads: true,
  acceptsHeads: true,
  examine: true,
  examinedRows: true,
} as const satisfies Partial<Record<keyof Store, true>>;

export type LongRead = keyof typeof methods;

export const longReads = Object.keys(methods) as readonly LongRead[];
