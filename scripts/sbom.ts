/**
 * `npm run sbom`: prints the bill of materials of the image for this machine's processor, or writes it with `-- FILE`. It is the file that
 * the image has as /app/sbom.cdx.json, made without building the image.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { copyNode } from "./image/base-system.ts";
import { billOfMaterials } from "./image/components.ts";
import { readLock } from "./image/debian-packages.ts";
import { architectureHere, root } from "./image/recipe.ts";

const architecture = architectureHere();
const nodePackage = join(root, "node_modules", `node-linux-${architecture.npm}`);
const work = mkdtempSync(join(tmpdir(), "fluo-kms-sbom-"));
try {
  const node = join(work, "node");
  copyNode(join(nodePackage, "bin", "node"), node);
  const bill = billOfMaterials({ architecture, node, nodePackage, packages: readLock()[architecture.name] });
  const [file] = process.argv.slice(2);
  if (file === undefined) process.stdout.write(bill);
  else writeFileSync(file, bill);
} finally {
  rmSync(work, { recursive: true, force: true });
}
