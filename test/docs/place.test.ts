/** Where a guide is walked: all that the project has, and nothing that an earlier walk in the checkout has left. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { makePlace } from "../../scripts/docs/place.ts";

it("has the project's files, its packages and tools, and neither a reader's keys nor his settings", async () => {
  const root = await mkdtemp(join(tmpdir(), "fluo-kms-place-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  expect(spawnSync("git", ["init", "--quiet"], { cwd: root }).status).toBe(0);
  await writeFile(join(root, ".gitignore"), "node_modules/\n/tools/bin/\n/kms/\n/*.properties\n/*.db\n");
  for (const folder of ["src", "node_modules", "tools/bin", "kms"]) {
    await mkdir(join(root, folder), { recursive: true });
    await writeFile(join(root, folder, "file"), "");
  }
  for (const file of ["package.json", "vault.properties", "production.db"]) await writeFile(join(root, file), "");

  await using place = await makePlace(root);
  expect(readdirSync(place.cwd).sort()).toEqual([".gitignore", "node_modules", "package.json", "src", "tools"]);
});
