/** The tenants' logs: batches get their places in them, keys hand them over, and verifiers read them. */
import type { BatchPool } from "../batch/pool/pool.ts";
import type { Keyring } from "../keys/keyring.ts";
import type { Handover } from "../keys/rotation/rotation.ts";
import type { Store } from "../store/store.ts";
import { createHeads } from "./heads.ts";
import { createHandovers } from "./handover.ts";
import { type LogReader, logReader } from "./reader.ts";
import { createSequencer, type Sequencer } from "./sequencer.ts";
import type { Time } from "../runtime/time.ts";

export interface TenantLogs {
  sequencer: Sequencer;
  handover: Handover;
  reader: LogReader;
}

export interface TenantLogsParts {
  store: Store;
  keyring: Keyring;
  pool: BatchPool;
  /** Origin of the logs. */
  issuer: string;
  time: Time;
}

export function createTenantLogs({ store, keyring: keys, pool, issuer, time }: TenantLogsParts): TenantLogs {
  const heads = createHeads({ store, issuer, time });
  const sequencer = createSequencer({ store, heads, keys, pool, time });
  return {
    sequencer,
    handover: createHandovers({ store, heads, sequencer, keys, pool, time }),
    reader: logReader({ store, keys }),
  };
}
