/**
 * `npm run test:unit`: the unit of systemd by systemd's own tools, and its filter of system calls on the real service by runc:
 * tools/spec-suite.ts says how these are installed. `-- NAME` runs one file. The last line is `N passed, N failed`.
 */
import { isThere } from "./tools/command.ts";
import { installOnMachine, provideDebian } from "./tools/debian.ts";
import { type Need, runSpecs, type Specs } from "./tools/spec-suite.ts";

/** On the machine, as it reads the units and the settings of its installed place. */
const systemd: Need = {
  name: "systemd-analyze",
  install: () => installOnMachine(() => !isThere("systemd-analyze"), ["systemd"]),
};
const runc: Need = {
  name: "runc, as root",
  async install() {
    await provideDebian("runc");
    if (process.getuid?.() !== 0) throw new Error("its containers have cgroups of their own, which root makes");
  },
};

const specs: Specs = { filter: [systemd, runc], settings: [systemd] };

process.exitCode = await runSpecs("systemd", specs, process.argv.slice(2));
