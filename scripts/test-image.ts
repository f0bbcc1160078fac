/**
 * `npm run test:image`: builds the image twice and looks at its files, its digest and its bill of materials; starts the service in it under
 * bubblewrap and under runc: tools/spec-suite.ts says how these are installed. `-- NAME` runs one file. FLUO_KMS_IMAGE names an archive to test
 * instead of a new one. The last line is `N passed, N failed`.
 */
import { spawnSync } from "node:child_process";
import { installOnMachine, isOnMachine, provideDebian } from "./tools/debian.ts";
import { type Need, need, runSpecs, type Specs } from "./tools/spec-suite.ts";
import { sandboxed } from "./image/sandbox.ts";

/** Those that have files outside of their own folders, or are run by a user who may not read root's cache. */
const onMachine: Readonly<Record<string, string>> = { buildah: "buildah", bwrap: "bubblewrap", setpriv: "util-linux" };
const unpacked: Readonly<Record<string, string>> = { umoci: "umoci", strip: "binutils" };

function install(command: string): void {
  installOnMachine(() => !isOnMachine(command), [onMachine[command]!]);
}

const tools: Need = {
  name: "what builds images",
  async install() {
    for (const command of ["buildah", "setpriv"]) install(command);
    for (const [command, name] of Object.entries(unpacked)) await provideDebian(command, name);
    for (const name of ["apt-get", "dpkg-deb", "git"]) need(name);
  },
};
const bubblewrap: Need = {
  name: "bubblewrap and user namespaces",
  install() {
    install("bwrap");
    const [name, ...args] = sandboxed({ rootfs: "/", mounts: [], command: ["/bin/true"] });
    const withoutFolder = args.map((word) => (word === "/var/lib/fluo-kms" ? "/" : word));
    const { status, stderr } = spawnSync(name!, withoutFolder, { encoding: "utf8" });
    if (status !== 0) throw new Error(stderr.trim());
  },
};
const runc: Need = {
  name: "runc, as root",
  async install() {
    await provideDebian("runc");
    if (process.getuid?.() !== 0) throw new Error("its containers have cgroups of their own, which root makes");
  },
};

const all = [tools, bubblewrap];
const specs: Specs = {
  reproducible: all,
  runtime: [...all, runc],
  serving: all,
  contents: all,
  bill: all,
};

process.exitCode = await runSpecs("image", specs, process.argv.slice(2), ["reproducible"]);
