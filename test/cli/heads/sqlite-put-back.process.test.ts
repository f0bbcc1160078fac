/** A SQLite store that is put back by its files, as an operator meets it. */
import { cpSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { type Place, sqlitePlace } from "../../support/cli-store-fixture.ts";
import { digestIn, refusedStart } from "../../support/heads-process.ts";
import { type ServiceProcess, startProcess } from "../../support/service-process.ts";

const key = ({ client }: ServiceProcess, tenantId: string) => client.generateDataKey({ tenantId });

/** A copy of the files of a place that `isCopied` names. */
function copyOf({ directory }: Place) {
  const kept = mkdtempSync(join(tmpdir(), "fluo-kms-kept-"));
  onTestFinished(() => rmSync(kept, { recursive: true }));
  const copy = (from: string, to: string, isCopied: (name: string) => boolean) => {
    for (const name of readdirSync(to).filter(isCopied)) rmSync(join(to, name), { recursive: true });
    for (const name of readdirSync(from).filter(isCopied)) cpSync(join(from, name), join(to, name));
  };
  copy(directory, kept, () => true);
  return { putBack: (isCopied: (name: string) => boolean) => copy(kept, directory, isCopied) };
}

/** Until the heads file has all that was written before. */
async function noted({ client }: ServiceProcess): Promise<void> {
  const writtenAt = async () => (await client.status({})).heads?.writtenAt;
  const before = await writtenAt();
  await expect.poll(writtenAt).not.toEqual(before);
}

/** Copies a place as its first service left it. */
async function firstCopy(where: Place) {
  const service = await startProcess(where.env);
  await key(service, "acme");
  await service.end();
  return copyOf(where);
}

it("is found where all of its directory is put back but the heads file, whatever ended the service", async () => {
  const where = sqlitePlace();
  const copy = await firstCopy(where);
  const service = await startProcess(where.env);
  await key(service, "globex");
  await noted(service);
  await service.end("SIGKILL");
  copy.putBack((name) => !/-heads(\.1)?$/.test(name));
  const said = await refusedStart(where);
  expect(said).toMatch(/data key [0-9a-f]{32} of tenant globex, version 1, was ACTIVE, and is gone/);
  expect((await where.run("accept-rollback", digestIn(said))).code).toBe(0);
  expect((await where.run("accept-rollback", digestIn(said))).err).toContain("there is nothing to accept");
  await (await startProcess(where.env)).end();
});

it("is refused where the file alone is put back, under the log of the newer one", async () => {
  const where = sqlitePlace();
  const copy = await firstCopy(where);
  const second = await startProcess(where.env);
  for (let at = 0; at < 60; at += 1) await key(second, `later-${at}`);
  await second.end();
  const third = await startProcess(where.env);
  await key(third, "globex");
  await noted(third);
  await third.end("SIGKILL");
  const { file } = where.settings as { file: string };
  copy.putBack((name) => name === basename(file));
  expect(readdirSync(where.directory)).toContain(`${basename(file)}-wal`);
  // The log has the newest count of commits; the pages that it lacks are older than that, or not there.
  expect(await refusedStart(where)).toContain(
    "is damaged (database disk image is malformed): restore it from a backup",
  );
  expect((await where.json("check")).code).toBe(1);
});
