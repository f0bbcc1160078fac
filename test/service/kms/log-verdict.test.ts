/** VerifySpan of spans in a log that the real sequencer keeps: through rotations, and after its key was marked as compromised. */
import { afterEach, describe, expect, it } from "vitest";
import { KeyState } from "../../../gen/ts/fluo/kms/v1/key_pb.ts";
import { VerifyReason, type VerifySpanResponse } from "../../../gen/ts/fluo/kms/v1/signing_pb.ts";
import type { Published } from "../../../src/keys/published.ts";
import { logReader } from "../../../src/tenant-log/reader.ts";
import { readVerifySpanRequest } from "../../../src/service/codec/sign-span.ts";
import { signingHandlers } from "../../../src/service/kms/sign-span.ts";
import { signCheckpoint } from "../../../src/tlog/checkpoint.ts";
import { inclusionPath } from "../../../src/tlog/proof-writer.ts";
import { emptyTree, type Growth, growTree } from "../../../src/tlog/merkle.ts";
import { formatSignedAt } from "../../../src/attestation/statement.ts";
import { tlogProofText } from "../../../src/tlog/inclusion-proof.ts";
import type { LogStore } from "../../../src/store/log-store.ts";
import { numberedSpan, resource, scope } from "../../support/made-batches.ts";
import { type Appended, leavesOf, replica, tenant } from "../../support/tenant-log-fixture.ts";
import { thrownBy } from "../../support/matchers.ts";
import { type Bytes, len, message } from "../../support/otlp-wire.ts";
import { withLogProof } from "../../support/test-log.ts";
import { call } from "../../support/service-fixture.ts";
import { wallTime } from "../../support/wall-time.ts";

const by = { actor: "ann", requestId: "" };
const open: ReturnType<typeof replica>[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

/** `alter` replaces what is read of the log, `publish` what is known of the tenant. */
function setUp(
  alter: (store: LogStore) => Partial<LogStore> = () => ({}),
  publish: (published: Published) => Published = (published) => published,
) {
  const log = replica();
  open.push(log);
  const { keyring, time } = log;
  const store = { ...log.store, ...alter(log.store) };
  const { verifySpan } = signingHandlers({
    keyring: {
      ...keyring,
      publicKeys: {
        ...keyring.publicKeys,
        published: async (...given) => publish(await keyring.publicKeys.published(...given)),
      },
    },
    logs: logReader({ store, keys: keyring }),
    keyTimer: { signing: (get) => get(), encryption: (get) => get() },
    time: wallTime(() => new Date(time.start + time.ms)),
  });
  const signedAt = formatSignedAt(time.start + time.ms);

  return {
    ...log,

    /** Span number n as SignSpans gives it back. */
    async signed(n: number): Promise<Bytes> {
      const { place } = await log.append(n, n + 1);
      const path = inclusionPath(place.siblings as Growth, place.firstIndex);
      return withProof(n, tlogProofText({ index: place.firstIndex, path, checkpoint: place.checkpoint }));
    },

    withProof,

    async verify(span: Bytes, tenantId = tenant): Promise<VerifySpanResponse> {
      const request = message(len(1, tenantId), len(2, span), len(3, resource), len(4, scope));
      return verifySpan(readVerifySpanRequest(request), call());
    },

    async markCompromised(): Promise<void> {
      const { keyId } = await keyring.activeSigningKey(tenant);
      await keyring.markCompromised({ tenantId: tenant, keyId, by });
    },
  };

  function withProof(n: number, proof: string): Bytes {
    return withLogProof(numberedSpan(n), { proof, tenant, signedAt });
  }
}

const ok = { verified: true, reason: VerifyReason.OK };
const compromised = { verified: false, reason: VerifyReason.KEY_COMPROMISED, keyState: KeyState.COMPROMISED };

describe("a span in the log", () => {
  it("verifies at once, and after rotations, by the key that signed its checkpoint", async () => {
    const { keyring, signed, verify } = setUp();
    const span = await signed(1);
    const { keyId } = await keyring.activeSigningKey(tenant);
    expect(await verify(span)).toMatchObject({ ...ok, keyId, keyState: KeyState.ACTIVE });
    for (let round = 0; round < 2; round += 1) await keyring.rotate({ tenantId: tenant, force: true });
    expect(await verify(span)).toMatchObject({ ...ok, keyId, keyState: KeyState.RETIRED });
    expect(await verify(await signed(2))).toMatchObject({ ...ok, keyState: KeyState.ACTIVE });
  });

  it("does not verify as another one, nor for another tenant", async () => {
    const { signed, verify, withProof, append, keyring } = setUp();
    const span = await signed(1);
    const { place } = await append(2, 3);
    const path = inclusionPath(place.siblings as Growth, place.firstIndex);
    const proof = tlogProofText({ index: place.firstIndex, path, checkpoint: place.checkpoint });
    expect(await verify(withProof(2, proof))).toMatchObject(ok);
    expect(await verify(withProof(1, proof))).toMatchObject({ reason: VerifyReason.PROOF_INVALID });
    await keyring.activeSigningKey("other");
    expect(await verify(span, "other")).toMatchObject({ reason: VerifyReason.UNKNOWN_KEY });
  });

  it("is of an unknown key where its checkpoint is by nobody that the tenant knows", async () => {
    const { signed, verify, withProof, keyring } = setUp();
    await signed(1);
    const { place } = await replicaOfAnother();
    const path = inclusionPath(place.siblings as Growth, 0);
    const foreign = withProof(1, tlogProofText({ index: 0, path, checkpoint: place.checkpoint }));
    expect(await verify(foreign)).toMatchObject({ reason: VerifyReason.UNKNOWN_KEY });
    expect((await keyring.publicKeys.all(tenant)).keys).toHaveLength(1);
  });
});

describe("after its key was marked as compromised, a span", () => {
  it("still verifies where it was in the log before", async () => {
    const { signed, verify, markCompromised, append } = setUp();
    const before = [await signed(1), await signed(2)];
    await markCompromised();
    await append(10, 300);
    for (const span of before) expect(await verify(span)).toMatchObject({ ...ok, keyState: KeyState.COMPROMISED });
  });

  it("verifies by the next key where it came after", async () => {
    const { signed, verify, markCompromised } = setUp();
    await signed(1);
    await markCompromised();
    expect(await verify(await signed(2))).toMatchObject({ ...ok, keyState: KeyState.ACTIVE });
  });

  it("does not verify where whoever has the key wrote it into a log of his own: behind the end, or in another's place", async () => {
    const { signed, verify, withProof, markCompromised, keyring, append } = setUp();
    const [first, third] = [await append(1, 2), await append(3, 4)];
    await signed(5);
    const { key } = await keyring.activeSigningKey(tenant);
    const forge = async (n: number, leaves: Uint8Array[], index: number) => {
      const growth = growTree(emptyTree, Buffer.concat(leaves));
      const head = { origin: `kms.example.com/${tenant}`, size: leaves.length, root: growth.root };
      const checkpoint = signCheckpoint(head, key);
      return withProof(n, tlogProofText({ index, path: inclusionPath(growth, index), checkpoint }));
    };
    const forged = leavesOf(await replicaOfAnother(7));
    const real = [first, third].flatMap(leavesOf);
    const behind = await forge(7, [...real, ...forged, ...forged], 3);
    const instead = await forge(7, [real[0]!, forged[0]!, real[1]!], 1);
    for (const span of [behind, instead]) expect(await verify(span)).toMatchObject(ok); // nobody knows of the theft yet
    await markCompromised();
    for (const span of [behind, instead]) expect(await verify(span)).toMatchObject(compromised);
    await append(100, 110);
    expect(await verify(behind)).toMatchObject(compromised);
  });

  it("verifies in a log that was closed before, by what is stored of that, and in none that came later", async () => {
    let number = 2;
    const { signed, verify, markCompromised, append } = setUp(undefined, (published) => {
      const other = { ...published.logs[0]!, number, origin: `kms.example.com/${tenant}/${number}` };
      const compromises = published.compromises.map(({ keyId }) => ({ ...other, tenantId: tenant, keyId }));
      return { ...published, logs: [...published.logs, other], compromises };
    });
    const span = await signed(1);
    await append(10, 15);
    await markCompromised();
    expect(await verify(span)).toMatchObject({ ...ok, keyState: KeyState.COMPROMISED });
    number = 0;
    expect(await verify(span)).toMatchObject(compromised);
  });

  it("is DATA_LOSS where what is stored of the log does not lead to what was recorded", async () => {
    const { signed, verify, markCompromised, append } = setUp((store) => ({
      async logHashes(...given) {
        const hashes = new Uint8Array(await store.logHashes(...given));
        hashes[0]! ^= 1;
        return hashes;
      },
    }));
    const span = await signed(1);
    await append(10, 15);
    expect(await verify(span)).toMatchObject(ok); // no stored hash is needed
    await markCompromised();
    expect(await thrownBy(() => verify(span))).toBeKmsError("DATA_LOSS", "does not prove its entry 0");
  });
});

/** A batch of one span in a log of the same name, under another's keys. */
function replicaOfAnother(n = 1): Promise<Appended> {
  const other = replica();
  open.push(other);
  return other.append(n, n + 1);
}
