/**
 * `npm run test:image`: builds the image twice and looks at its files, its digest and its bill of materials; starts the service in it under
 * bubblewrap and under runc. What needs something that is not there is skipped, said loudly, and with CI=true nothing is run and it is a
 * failure. `-- NAME` runs one file; `-- --install` installs and runs nothing. FLUO_KMS_IMAGE names an archive to test instead of a new one.
 * The last line is `N passed, N failed`.
 */
import { spawnSync } from "node:child_process";
import { installDebian } from "./tools/debian.ts";
import { type Need, need, runSpecs, type Specs } from "./tools/spec-suite.ts";
import { sandboxed } from "./image/sandbox.ts";

const packages: Readonly<Record<string, string>> = {
  buildah: "buildah",
  umoci: "umoci",
  strip: "binutils",
  setpriv: "util-linux",
};

const tools: Need = {
  name: "what builds images",
  install() {
    for (const [command, name] of Object.entries(packages)) installDebian(command, name);
    for (const name of ["apt-get", "dpkg-deb", "git"]) need(name);
  },
};
const bubblewrap: Need = {
  name: "bubblewrap and user namespaces",
  install() {
    installDebian("bwrap", "bubblewrap");
    const [name, ...args] = sandboxed({ rootfs: "/", mounts: [], command: ["/bin/true"] });
    const withoutFolder = args.map((word) => (word === "/var/lib/fluo-kms" ? "/" : word));
    const { status, stderr } = spawnSync(name!, withoutFolder, { encoding: "utf8" });
    if (status !== 0) throw new Error(stderr.trim());
  },
};
const runc: Need = {
  name: "runc, as root",
  install() {
    installDebian("runc", "runc");
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

process.exitCode = await runSpecs("image", specs, process.argv.slice(2));
