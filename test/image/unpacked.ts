/** The image that all files of the suite look at, built once and unpacked by umoci. FLUO_KMS_IMAGE names an archive to test instead. */
import { chmodSync, mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestProject } from "vitest/node";
import { buildImage } from "../../scripts/image/build.ts";
import { command } from "../../scripts/tools/command.ts";
import { architectureHere, version } from "../../scripts/image/recipe.ts";

declare module "vitest" {
  interface ProvidedContext {
    image: UnpackedImage;
  }
}

export interface UnpackedImage {
  readonly archive: string;
  /** The layout in the archive, unpacked. */
  readonly layout: string;
  /** A bundle for an OCI runtime: config.json and rootfs/. */
  readonly bundle: string;
  readonly rootfs: string;
}

export default function unpack({ provide }: TestProject): void {
  const folder = mkdtempSync(join(tmpdir(), "fluo-kms-test-image-"));
  chmodSync(folder, 0o755);
  const archive = process.env.FLUO_KMS_IMAGE ?? buildImage(architectureHere(), folder).file;
  const [layout, bundle] = [join(folder, "layout"), join(folder, "bundle")];
  mkdirSync(layout);
  command("tar", ["-xf", archive, "-C", layout]);
  const rootless = process.getuid?.() === 0 ? [] : ["--rootless"];
  command("umoci", ["unpack", ...rootless, "--image", `${layout}:${version}`, bundle]);
  chmodSync(bundle, 0o755);
  provide("image", { archive, layout, bundle, rootfs: join(bundle, "rootfs") });
}

/** Reads a blob of the layout as JSON. */
export function readBlob<T>(layout: string, digest: string): T {
  return JSON.parse(readFileSync(join(layout, "blobs", "sha256", digest.slice("sha256:".length)), "utf8"));
}
