/**
 * `npm run test:unit`: the unit of systemd by systemd's own tools, and its filter of system calls on the real service by runc. What needs
 * something that is not there is skipped, said loudly, and with CI=true nothing is run and it is a failure. `-- NAME` runs one file. The
 * last line is `N passed, N failed`.
 */
import { installDebian } from "./tools/debian.ts";
import { type Need, runSpecs, type Specs } from "./tools/spec-suite.ts";

const systemd: Need = { name: "systemd-analyze", install: () => installDebian("systemd-analyze", "systemd") };
const runc: Need = {
  name: "runc, as root",
  install() {
    installDebian("runc", "runc");
    if (process.getuid?.() !== 0) throw new Error("its containers have cgroups of their own, which root makes");
  },
};

const specs: Specs = { filter: [systemd, runc], settings: [systemd] };

process.exitCode = await runSpecs("systemd", specs, process.argv.slice(2));
