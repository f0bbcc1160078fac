/** The build of an image, in order: what goes into the root file system, the compile cache, the bill of materials, the archive. */
import { chmodSync, cpSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { prepareApplication } from "./application.ts";
import { type Archive, writeArchive } from "./archive.ts";
import { writeBaseSystem } from "./base-system.ts";
import { fillCompileCache } from "./compiled.ts";
import { billOfMaterials } from "./components.ts";
import { downloadLocked, readLock } from "./debian-packages.ts";
import { type Architecture, architectureHere } from "./recipe.ts";

/** Builds into the folder `out`. What it needs meanwhile is in a folder of its own, which the image's user can read. */
export function buildImage(architecture: Architecture, out: string): Archive {
  const work = mkdtempSync(join(tmpdir(), "fluo-kms-image-"));
  try {
    chmodSync(work, 0o755);
    const rootfs = join(work, "rootfs");
    mkdirSync(rootfs);
    const lock = readLock();
    const application = step("npm's packages", () => prepareApplication(work, architecture));
    const packages = step("Debian's packages", () => downloadLocked(architecture, lock));
    const node = join(application.nodePackage, "bin", "node");
    writeBaseSystem(rootfs, work, { architecture, node, packages, addons: application.addons });
    mkdirSync(join(rootfs, "usr/share/doc/node"));
    cpSync(join(application.nodePackage, "LICENSE"), join(rootfs, "usr/share/doc/node/copyright"));
    renameSync(application.folder, join(rootfs, "app"));
    if (architecture === architectureHere()) step("compile cache", () => fillCompileCache(rootfs, work));
    const contents = { architecture, node: join(rootfs, "usr/bin/node"), packages: lock[architecture.name] };
    const bill = step("bill of materials", () =>
      billOfMaterials({ ...contents, nodePackage: application.nodePackage }),
    );
    writeFileSync(join(rootfs, "app", "sbom.cdx.json"), bill);
    return step("archive", () => writeArchive(rootfs, work, out, architecture));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function step<T>(name: string, work: () => T): T {
  const began = performance.now();
  const made = work();
  process.stderr.write(`${name}: ${((performance.now() - began) / 1000).toFixed(1)} s\n`);
  return made;
}
