/**
 * `npm run image`: builds the container image as an OCI archive below deploy/image/out, with SHA256SUMS beside it, without an engine and without
 * a registry. The page that verifies lies beside it, too, as both are assets of a release. `-- --arch arm64` builds for another processor, whose image is not run and has no compile cache. `-- --out FOLDER` writes
 * elsewhere. `-- --lock` instead locks the versions of Debian's packages that Debian serves now. Needs what docs/CONTAINER.md lists.
 */
import { copyFileSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { buildImage } from "./image/build.ts";
import { lockFile, writeLock } from "./image/debian-packages.ts";
import { type Architecture, architectureHere, architectures, root } from "./image/recipe.ts";

const { values } = parseArgs({
  options: {
    arch: { type: "string", default: architectureHere().name },
    out: { type: "string", default: join(root, "deploy", "image", "out") },
    lock: { type: "boolean", default: false },
  },
});

if (values.lock) {
  writeLock();
  console.log(`wrote ${lockFile}`);
} else {
  const architecture = architectures[values.arch as Architecture["name"]];
  if (architecture === undefined) throw new Error(`there is no architecture ${values.arch}, but amd64 and arm64`);
  const { file, digest, bytes } = buildImage(architecture, values.out);
  writeSums(values.out);
  const note = architecture === architectureHere() ? "" : ", not run";
  console.log(`${file}\n${digest}\n${(bytes / 1e6).toFixed(1)} MB${note}`);
}

/** The page, and all archives of the folder, so that a second architecture adds its line. */
function writeSums(folder: string): void {
  const page = "fluo-verify.html";
  copyFileSync(join(root, "gen", page), join(folder, page));
  const files = readdirSync(folder).filter((name) => name === page || name.endsWith(".oci.tar"));
  const sum = (name: string) =>
    createHash("sha256")
      .update(readFileSync(join(folder, name)))
      .digest("hex");
  writeFileSync(
    join(folder, "SHA256SUMS"),
    files
      .sort()
      .map((name) => `${sum(name)}  ${name}\n`)
      .join(""),
  );
}
