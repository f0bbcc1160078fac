/** A volume that is not mounted: its folder is there and empty, or is made by the start. What tells that from a first start. */
import { existsSync, mkdirSync, renameSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { place } from "../../support/cli-store-fixture.ts";
import { directory } from "../../support/config-fixture.ts";
import { refusedStart } from "../../support/heads-process.ts";
import { startProcess } from "../../support/service-process.ts";

/** A store in a folder of a volume, as the chart has it; `unmount` and `mount` do so by names. */
function onVolume(more: Record<string, string> = {}) {
  const path = directory();
  const volume = join(path, "volume");
  mkdirSync(volume);
  const file = join(volume, "state", "kms.db");
  const { env, ...where } = place(path, { name: "sqlite", file });
  return {
    ...where,
    file,
    env: { ...env, ...more },
    unmount() {
      renameSync(volume, `${volume}.away`);
      mkdirSync(volume);
    },
    mount() {
      renameSync(volume, `${volume}.hidden`);
      renameSync(`${volume}.away`, volume);
    },
  };
}

const isNew =
  /"level":40.*is new, and has no key yet: if there should be one, end this service, and see that its volume/;

it("is a start that is refused where the heads file is elsewhere, as often as it is tried", async () => {
  const heads = join(directory(), "heads");
  const where = onVolume({ FLUO_KMS_AUDIT_HEADS_FILE: heads });
  const first = await startProcess(where.env);
  await first.said(isNew);
  const { keyId } = await first.client.generateDataKey({ tenantId: "acme" });
  await first.end();

  where.unmount();
  for (let n = 0; n < 2; n += 1) {
    const said = await refusedStart(where);
    expect(said).toMatch(/ has no store yet, and the heads file \S+ notes \d+ commits: is its volume mounted\? /);
    expect(said).toContain(heads);
    expect(existsSync(where.file)).toBe(false);
  }

  where.mount();
  const again = await startProcess(where.env);
  expect((await again.client.generateDataKey({ tenantId: "acme" })).keyId).toBe(keyId);
  expect(again.log.join("\n")).not.toMatch(isNew);
  await again.end();
});

it("is a new store, which the log warns of, where the heads file lies beside it", async () => {
  const where = onVolume();
  await (await startProcess(where.env)).end();
  where.unmount();
  const empty = await startProcess(where.env);
  await empty.said(isNew);
  await empty.end();
});

it("makes nothing where a start may not make the store", async () => {
  const where = onVolume({ FLUO_KMS_STORE_MIGRATE: "never" });
  const said = await refusedStart(where);
  expect(said).toContain(`there is no SQLite store at ${where.file}, and fluo.kms.store.migrate is never`);
  expect(said).toContain("see that its volume is mounted, or make the store by fluo-kms migrate");
  expect(existsSync(join(where.file, ".."))).toBe(false);
  expect((await where.run("migrate")).code).toBe(0);
  await (await startProcess(where.env)).end();
});
