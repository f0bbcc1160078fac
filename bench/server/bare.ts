/** The limits and lookups that are measured without any transport: loops in the service's process. */
import { createSecretKey, hash, randomBytes } from "node:crypto";
import { canonicalContext, canonicalPairs } from "../../src/crypto/encryption-context.ts";
import { signingKey } from "../../src/crypto/ed25519.ts";
import { wholeKeyring } from "../../test/support/whole-keyring.ts";
import { createHkdfKey } from "../../src/crypto/hkdf.ts";
import { seal } from "../../src/envelope/cobblestone.ts";
import { localProvider } from "../../src/provider/local/open.ts";
import { emptyTree, growTree, hashBytes } from "../../src/tlog/merkle.ts";
import { readSignSpanRequest } from "../../src/service/codec/sign-span.ts";
import { signSpan } from "../../src/attestation/sign-statement.ts";
import { memoryStore } from "../../src/store/sqlite/memory.ts";
import { piiFields, tenantId } from "../requests.ts";
import { signSpanRequests } from "../spans.ts";
import { realTime } from "../../src/runtime/time.ts";

const envelopeHeaderBytes = 18;
/** As EncryptPii's calls have them by turns. */
const sealedFields = 20;
const spanBytes = 434;
const spansABatch = 100;

/** Each runs once per item. */
export interface BareLoops {
  /** Ed25519 over a message as long as SignSpan's. */
  signature(): void;
  /** SHA-256 of as many bytes as a span has, twice, and its part of the Merkle tree that a batch adds to. */
  hashes(): void;
  /** Cobblestone-256 of one field, from the 32 bytes of a key on, under a context as long as EncryptPii's. */
  seal(): void;
  cachedKey(): void;
  mapLookup(): void;
}

const hourMs = 3_600_000;

export async function bareLoops(): Promise<BareLoops> {
  const key = signingKey(randomBytes(32));
  const message = signedMessage();
  const inputKey = randomBytes(32);
  const hkdfKey = createHkdfKey();
  const pairs = canonicalPairs(new Map());
  const fields = piiFields(sealedFields).map(({ name, value }) => ({
    context: [Buffer.alloc(envelopeHeaderBytes), canonicalContext(tenantId, name, pairs)],
    value,
  }));
  const span = randomBytes(spanBytes);
  const leaves = randomBytes(spansABatch * hashBytes);
  const { after: tree } = growTree(emptyTree, randomBytes(1000 * hashBytes));
  const provider = localProvider(createSecretKey(randomBytes(32)));
  // Not asked for longer than a record is believed while others are measured, it would have to look again.
  const keyring = wholeKeyring({ time: realTime, store: memoryStore(realTime), provider, stateTtlMs: hourMs });
  const active = await keyring.activeSigningKey(tenantId);
  const map = new Map([[tenantId, active]]);
  let turn = 0;

  return {
    signature: () => void key.sign(message),
    hashes() {
      hash("sha256", span, "latin1");
      hash("sha256", span, "latin1");
      if (turn++ % spansABatch === 0) growTree(tree, leaves);
    },
    seal() {
      const { context, value } = fields[turn++ % fields.length]!;
      hkdfKey.use(inputKey);
      seal(hkdfKey, context, value);
    },
    cachedKey() {
      if (keyring.activeSigningKey(tenantId) !== active) throw new Error("the key was not cached");
    },
    mapLookup() {
      if (map.get(tenantId) !== active) throw new Error("the map lost its key");
    },
  };
}

/** What signSpan gives to the key. */
function signedMessage(): Uint8Array {
  let signed = new Uint8Array();
  const sign = (message: Uint8Array) => {
    signed = new Uint8Array(message);
    return new Uint8Array(64);
  };
  const { span } = readSignSpanRequest(signSpanRequests(tenantId, 1)[0]!);
  signSpan(span, { tenant: tenantId, keyId: "0".repeat(32), key: { sign } }, Date.now());
  return signed;
}
