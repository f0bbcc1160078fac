/** The OCI archive of a root file system: one layer, made by buildah without an engine, and the same bytes whenever it is made. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { command } from "../tools/command.ts";
import { type Architecture, commit, entrypoint, nonroot, sourceDate, stateDirectory, version } from "./recipe.ts";

export interface Archive {
  readonly file: string;
  /** The manifest's: `sha256:…`, by which a registry names the image. */
  readonly digest: string;
  readonly sha256: string;
  readonly bytes: number;
}

/** Writes `fluo-kms-VERSION-ARCHITECTURE.oci.tar` into `out`, and what names it beside. */
export function writeArchive(rootfs: string, work: string, out: string, architecture: Architecture): Archive {
  const context = join(work, "context");
  mkdirSync(context);
  writeTar(rootfs, join(context, "rootfs.tar"));
  writeFileSync(join(context, "Containerfile"), containerfile());
  const layout = build(context, work, architecture);
  mkdirSync(out, { recursive: true });
  const file = join(out, `fluo-kms-${version}-${architecture.name}.oci.tar`);
  command("tar", [
    ...sorted(),
    "--owner=0",
    "--group=0",
    "-cf",
    file,
    "-C",
    layout,
    "blobs",
    "index.json",
    "oci-layout",
  ]);
  const bytes = readFileSync(file);
  const { manifests } = JSON.parse(readFileSync(join(layout, "index.json"), "utf8"));
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  return { file, digest: manifests[0].digest, sha256, bytes: bytes.length };
}

/** Everything belongs to root, and nobody else may write, except the state directory and /tmp. */
function writeTar(rootfs: string, file: string): void {
  command("chmod", ["-R", "u=rwX,go=rX", rootfs]);
  command("chmod", ["1777", join(rootfs, "tmp")]);
  command("chmod", ["0700", join(rootfs, stateDirectory)]);
  const state = `.${stateDirectory}`;
  command("tar", [...sorted(), "--owner=0", "--group=0", `--exclude=${state}`, "-cf", file, "-C", rootfs, "."]);
  command("tar", [...sorted(), `--owner=${nonroot}`, `--group=${nonroot}`, "-rf", file, "-C", rootfs, state]);
}

function sorted(): string[] {
  return ["--sort=name", "--format=gnu", "--numeric-owner", `--mtime=@${sourceDate()}`];
}

function containerfile(): string {
  const title = "org.opencontainers.image";
  const labels: Record<string, string> = {
    [`${title}.title`]: "fluo-kms",
    [`${title}.description`]: "The key service of FLUO",
    [`${title}.version`]: version,
    [`${title}.revision`]: commit(),
    [`${title}.created`]: new Date(sourceDate() * 1000).toISOString(),
    [`${title}.source`]: "https://github.com/fluo-dev/fluo-kms",
    [`${title}.licenses`]: "Apache-2.0",
  };
  return [
    "FROM scratch",
    "ADD rootfs.tar /",
    `USER ${nonroot}:${nonroot}`,
    `WORKDIR ${stateDirectory}`,
    "EXPOSE 9000 8080",
    "STOPSIGNAL SIGTERM",
    ...Object.entries(labels).map(([name, value]) => `LABEL ${name}=${JSON.stringify(value)}`),
    `ENTRYPOINT ${JSON.stringify(entrypoint)}`,
    "",
  ].join("\n");
}

/** Returns an OCI layout, a folder. Buildah's own storage is below `work`. */
function build(context: string, work: string, architecture: Architecture): string {
  const storage = ["--root", join(work, "storage"), "--runroot", join(work, "run"), "--storage-driver", "vfs"];
  const env = { BUILDAH_ISOLATION: "chroot" };
  const same = ["--timestamp", String(sourceDate()), "--identity-label=false", "--layers=false"];
  const to = ["--arch", architecture.name, "--os", "linux", "--tag", "fluo-kms"];
  command("buildah", [...storage, "bud", ...same, ...to, "-f", join(context, "Containerfile"), context], { env });
  const layout = join(work, "layout");
  const policy = join(work, "policy.json");
  writeFileSync(policy, JSON.stringify({ default: [{ type: "insecureAcceptAnything" }] }));
  command("buildah", [...storage, "push", "--signature-policy", policy, "fluo-kms", `oci:${layout}:${version}`], {
    env,
  });
  rmSync(join(work, "storage"), { recursive: true, force: true });
  return layout;
}
