/** The memory store passes the store contract; and what takes many writes is tried with it, because it is the fastest. */
import { expect, it } from "vitest";
import { pageRows } from "../../../src/store/sql/all-pages.ts";
import { openMemory } from "../../../src/store/sqlite/memory.ts";
import { logStoreContract } from "../../support/log-store-contract.ts";
import { newLog } from "../../support/log-store-fixture.ts";
import { addKey, unlocked } from "../../support/store-fixture.ts";
import { storeContract } from "../../support/store-contract.ts";
import { realTime } from "../../../src/runtime/time.ts";

storeContract("memory", () => openMemory(realTime));
logStoreContract("memory", () => openMemory(realTime));

it("lists all versions of a key, and all its compromises, beyond a page of them", async () => {
  const store = await unlocked(openMemory(realTime));
  await store.createLog(newLog({ tenantId: "acme" }));
  const ids: string[] = [];
  for (let version = 1; version <= pageRows + 2; version += 1) {
    const record = await addKey(store, { purpose: "signing" });
    const change = { action: "mark_compromised", actor: "ann", requestId: "", at: new Date() } as const;
    await store.update(record, { ...record, state: "COMPROMISED", compromisedAt: new Date() }, change);
    ids.push(record.keyId);
  }
  const versions = await store.list("acme", "signing");
  expect(versions.map(({ keyId }) => keyId)).toEqual(ids);
  expect(versions.map(({ version }) => version)).toEqual(ids.map((_, index) => index + 1));
  expect((await store.logCompromises("acme")).map(({ keyId }) => keyId)).toEqual(ids.toSorted());
  await store.close();
});
