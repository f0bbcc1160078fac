/** The keys file of a tenant with logs, as the service serves it. */
import { type Handover, type TestLog, testKey } from "./test-log.ts";
import { verifierKey } from "../../src/tlog/verifier-key.ts";

type Members = Record<string, unknown>;

/** All keys that the logs had, the last one active; `about` changes a key's members, by its number. */
export function keysFile(logs: readonly TestLog[], about: Readonly<Record<number, Members>> = {}) {
  const { tenant } = logs[0]!;
  const last = Math.max(...logs.map((log) => log.keyNumber()));
  return {
    keys: Array.from({ length: last }, (_, i) => {
      const { keyId, key } = testKey(i + 1, tenant);
      return {
        kty: "OKP",
        crv: "Ed25519",
        x: Buffer.from(key.publicKey).toString("base64url"),
        kid: keyId,
        state: i + 1 === last ? "ACTIVE" : "RETIRED",
        valid_from: "2026-01-01T00:00:00.000Z",
        valid_until: null,
        compromised_at: null,
        vkeys: logs.map(({ origin }) => verifierKey(origin, key.publicKey)),
        compromised_log: null,
        ...about[i + 1],
      };
    }),
    handovers: logs.flatMap(({ origin, handovers }, i) =>
      handovers.filter(({ proof }) => proof !== "").map((handover) => handoverJson(handover, origin, i + 1)),
    ),
    unused_handovers: logs.flatMap(({ origin, handovers }) =>
      handovers.filter(({ proof }) => proof === "").map((handover) => unusedHandoverJson(handover, origin)),
    ),
  };
}

/** The same file as releases of 0.1 serve it: one list has all handovers, and an unused one an empty proof. */
export function keysFileOfBefore(logs: readonly TestLog[]) {
  const { keys } = keysFile(logs);
  const handovers = logs.flatMap((log, i) => log.handovers.map((each) => handoverJson(each, log.origin, i + 1)));
  return { keys, handovers };
}

function handoverJson({ fromKeyId, toKeyId, index, entry, proof }: Handover, origin: string, log: number) {
  return {
    log,
    origin,
    from_key_id: fromKeyId,
    to_key_id: toKeyId,
    leaf_index: index,
    entry: Buffer.from(entry).toString("base64"),
    proof,
  };
}

function unusedHandoverJson({ index, entry }: Handover, origin: string) {
  return { origin, leaf_index: index, entry: Buffer.from(entry).toString("base64") };
}

/** What the keys file says of a key that was marked as compromised when the log was this large. */
export function compromisedAt(log: TestLog, size: number): Members {
  const { root } = log.head(size);
  return {
    state: "COMPROMISED",
    compromised_at: "2026-05-01T00:00:00.000Z",
    compromised_log: { log: 1, origin: log.origin, size, root: Buffer.from(root).toString("base64") },
  };
}
