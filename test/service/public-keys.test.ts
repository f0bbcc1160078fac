/** GetPublicKeys of a tenant with a log, and the same as jwks.json gives it. */
import { afterEach, describe, expect, it } from "vitest";
import { KeyState } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import type { PublicKey } from "../../gen/ts/fluo/kms/v1/public_key_pb.ts";
import { readKeySet } from "../../src/cli/key-set.ts";
import { KmsError } from "../../src/errors.ts";
import { publicKeyHandlers } from "../../src/service/public-keys.ts";
import { parseHandover } from "../../src/span/log-statement.ts";
import { parseTlogProof } from "../../src/span/tlog-proof.ts";
import { verifierKey } from "../../src/span/vkey.ts";
import { memoryStore } from "../../src/store/memory.ts";
import { jwksJson } from "../../src/transport/admin-json.ts";
import { filledLog } from "../log/filled-log.ts";
import { checkpointOf, replica, tenant } from "../log/fixture.ts";
import { call } from "./fixture.ts";

const by = { actor: "ann", requestId: "" };
const open: ReturnType<typeof replica>[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

/** The service has another issuer than the one under which its logs were born. */
function setUp(store = memoryStore()) {
  const log = replica({ store });
  open.push(log);
  const { getPublicKeys } = publicKeyHandlers({ keyring: log.keyring, issuer: "moved.example.com" });
  const get = () => getPublicKeys({ tenantId: tenant } as never, call());
  return { ...log, get };
}

const vkeysOf = ({ raw }: PublicKey, ...origins: string[]) => origins.map((origin) => verifierKey(origin, raw));

describe("a key's vkey", () => {
  it("is named by the issuer while there is no log, and then by the log, whoever the issuer is now", async () => {
    const { keyring, append, get } = setUp();
    await keyring.activeSigningKey(tenant);
    const [before] = (await get()).keys;
    expect(before!.vkeys).toEqual(vkeysOf(before!, "moved.example.com/acme"));
    expect(before!.vkey).toBe(before!.vkeys[0]);
    await append(0, 1);
    const [after] = (await get()).keys;
    expect(after!.vkeys).toEqual(vkeysOf(after!, "kms.example.com/acme"));
    expect(after!.vkey).toBe(after!.vkeys[0]);
  });

  it("is there for each log, oldest first, and the last log's stands alone", async () => {
    const { keyring, store, get } = setUp();
    await keyring.activeSigningKey(tenant);
    await filledLog(store, 0, { state: "restored" });
    await filledLog(store, 3, { number: 2, origin: "moved.example.com/acme/2" });
    const [key] = (await get()).keys;
    expect(key!.vkeys).toEqual(vkeysOf(key!, "kms.example.com/acme", "moved.example.com/acme/2"));
    expect(key!.vkey).toBe(key!.vkeys[1]);
  });
});

describe("a handover", () => {
  it("is given with its entry and its proof, which both keys signed; in JSON too", async () => {
    const { keyring, append, get } = setUp();
    await append(0, 5);
    await keyring.rotate({ tenantId: tenant, force: true });
    const answer = await get();
    const [from, to] = answer.keys;
    const [handover, ...more] = answer.handovers;
    expect(more).toEqual([]);
    const { entry, proof, ...about } = handover!;
    const origin = "kms.example.com/acme";
    const names = { fromKeyId: from!.keyId, toKeyId: to!.keyId };
    expect(about).toMatchObject({ log: 1, origin, ...names, leafIndex: 5n });
    expect(parseHandover(entry)).toMatchObject({ ...names, toVkey: to!.vkey });
    expect(checkpointOf(parseTlogProof(proof)!.checkpoint, from!.raw, to!.raw)).toMatchObject({ origin, size: 6 });
    const json = { log: 1, origin, from_key_id: from!.keyId, to_key_id: to!.keyId, leaf_index: 5, proof };
    expect(jwksJson(answer).handovers).toEqual([{ ...json, entry: Buffer.from(entry).toString("base64") }]);
    expect(jwksJson(answer).keys.map(({ vkeys }) => vkeys)).toEqual([[from!.vkey], [to!.vkey]]);
  });

  it("to a key that did not come into use has no proof, and an auditor can read that", async () => {
    const store = memoryStore();
    let refuses = false;
    const { keyring, append, get } = setUp({
      ...store,
      async activate(activation) {
        if (refuses) throw new KmsError("CONFLICT", "another replica was first");
        return store.activate(activation);
      },
    });
    await append(0, 5);
    refuses = true;
    await keyring.rotate({ tenantId: tenant, force: true });
    const answer = await get();
    const [{ keyId: fromKeyId }] = answer.keys as [PublicKey];
    expect(answer).toMatchObject({ keys: [{}], handovers: [{ fromKeyId, leafIndex: 5n, proof: "" }] });
    const { announced, handovers } = readKeySet(JSON.stringify(jwksJson(answer)));
    expect([announced, handovers]).toMatchObject([[{ origin: "kms.example.com/acme", index: 5 }], []]);
  });

  it("is not made by the mark on a compromised key: with that it is said how far the log went", async () => {
    const { keyring, append, store, get } = setUp();
    await append(0, 5);
    const { keyId } = await keyring.activeSigningKey(tenant);
    const { origin, root } = (await store.logHead(tenant))!;
    await keyring.markCompromised({ tenantId: tenant, keyId, by });
    await append(5, 9);
    const answer = await get();
    const [marked, next] = answer.keys;
    expect(answer.handovers).toEqual([]);
    expect(marked).toMatchObject({ keyId, state: KeyState.COMPROMISED });
    const { compromisedLog } = marked!;
    expect({ ...compromisedLog, root: Buffer.from(compromisedLog!.root) }).toMatchObject({ log: 1, origin, size: 5n });
    expect(Buffer.compare(compromisedLog!.root, root)).toBe(0);
    expect(next!.compromisedLog).toBeUndefined();
    const json = { log: 1, origin, size: 5, root: Buffer.from(root).toString("base64") };
    expect(jwksJson(answer).keys.map(({ compromised_log }) => compromised_log)).toEqual([json, null]);
  });
});
