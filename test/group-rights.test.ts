/** Rights to what a service makes, and those of a group, which Kubernetes gives to all files of a volume at each mount. */
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { directory as newDirectory } from "./support/config-fixture.ts";
import { type RunningService, startService } from "./support/running-service.ts";

const fields = [{ name: "email", value: Buffer.from("ann@example.com") }];
const groupReadable = { FLUO_KMS_FILES_GROUP_READABLE: "true" };

async function started(env: Record<string, string>): Promise<RunningService> {
  const service = await startService(env);
  onTestFinished(service.stop);
  return service;
}

/** Settings of a store in a folder, whose master key is elsewhere. */
function filesIn(folder: string, ofKey: string) {
  const [database, masterKey] = [join(folder, "kms.db"), join(ofKey, "master.key")];
  const env = { FLUO_KMS_SQLITE_FILE: database, FLUO_KMS_LOCAL_MASTER_KEY_FILE: masterKey };
  return { database, masterKey, env };
}

/** A volume with a store and a master key that a service has used, and a token of it. */
async function usedVolume() {
  const directory = newDirectory();
  const { env, database, masterKey } = filesIn(directory, directory);
  const service = await started(env);
  const { fields: sealed } = await service.grpc.encryptPii({ tenantId: "acme", fields });
  await service.stop();
  return {
    directory,
    database,
    masterKey,
    tokens: [{ name: "email", token: sealed[0]!.token }],
    start: (more: Record<string, string> = {}) => started({ ...env, ...more }),
    /** What a start that fails says. */
    refused: (more: Record<string, string> = {}) => failureOfStart({ ...env, ...more }),
  };
}

function failureOfStart(env: Record<string, string>): Promise<string> {
  return started(env).then(
    () => expect.unreachable("it started"),
    ({ message }: Error) => message,
  );
}

function mount(directory: string): void {
  expect(spawnSync("chmod", ["-R", "g+rwX", directory]).status).toBe(0);
}

describe.skipIf(process.platform === "win32")("the directory of a store that the service makes", () => {
  it.each([
    ["for its owner alone", "000", {}, 0o700],
    ["for its owner alone", "077", {}, 0o700],
    ["for its group too where that may read files", "077", groupReadable, 0o770],
    ["for its group too where that may read files", "000", groupReadable, 0o770],
  ])("is %s, with its parents, under umask %s", async (_for, umask, more, mode) => {
    const directory = newDirectory();
    chmodSync(directory, 0o755);
    const { env, database } = filesIn(join(directory, "state", "of"), directory);
    const former = process.umask(umask);
    onTestFinished(() => void process.umask(former));
    for (let n = 0; n < 2; n += 1) {
      const service = await started({ ...env, ...more });
      await service.grpc.encryptPii({ tenantId: "acme", fields });
      await service.stop();
      for (const made of [join(directory, "state"), join(directory, "state", "of")]) {
        expect((statSync(made).mode & 0o777).toString(8)).toBe(mode.toString(8));
      }
      expect(statSync(database).mode & 0o777).toBe(0o600);
      expect(statSync(directory).mode & 0o777).toBe(0o755); // it was there
    }
  });

  it("is told of where it cannot be made", async () => {
    const directory = newDirectory();
    writeFileSync(join(directory, "state"), "");
    const { env, database } = filesIn(join(directory, "state", "of"), directory);
    expect(await failureOfStart(env)).toContain(`the SQLite file ${database} cannot be used (ENOTDIR)`);
  });
});

describe.skipIf(process.platform === "win32")("a volume that was mounted again", () => {
  it("is refused without the setting, by a text that names it, for either file", async () => {
    const { directory, masterKey, database, refused } = await usedVolume();
    mount(directory);
    expect(await refused()).toMatch(/master\.key can be read by its group; .*fluo\.kms\.files\.group-readable=true/);
    chmodSync(masterKey, 0o600);
    expect(await refused()).toMatch(/kms\.db can be read by its group; .*fluo\.kms\.files\.group-readable=true/);
    expect(statSync(database).mode & 0o777).toBe(0o660);
  });

  it("serves with the setting, start after start", async () => {
    const { directory, start, tokens } = await usedVolume();
    for (let n = 0; n < 2; n += 1) {
      mount(directory);
      const service = await start(groupReadable);
      const { fields: opened } = await service.grpc.decryptPii({ tenantId: "acme", fields: tokens });
      expect(Buffer.from(opened[0]!.result.value as Uint8Array).toString()).toBe("ann@example.com");
      await service.stop();
    }
  });

  it.each(["master.key", "kms.db"])("is refused with the setting where the world has rights to %s", async (name) => {
    const { directory, refused } = await usedVolume();
    mount(directory);
    chmodSync(join(directory, name), 0o664);
    expect(await refused(groupReadable)).toContain(`${name} can be read by others; run: chmod o= `);
  });

  it.skipIf(process.getuid?.() !== 0)("is refused with the setting where its group is another's", async () => {
    const { directory, database, masterKey, refused } = await usedVolume();
    mount(directory);
    const another = 54_321;
    expect(process.getgroups!()).not.toContain(another);
    chownSync(database, 0, another);
    expect(await refused(groupReadable)).toContain("kms.db can be read by group 54321, which is none of this process");
    chownSync(database, 0, process.getegid!());
    chownSync(masterKey, 0, another);
    expect(await refused(groupReadable)).toContain("master.key can be read by group 54321");
  });
});
