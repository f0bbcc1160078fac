/** Runs the root file system as a container would: without root, without capabilities, under bubblewrap. The build and the tests use it. */
import { nonroot, stateDirectory } from "./recipe.ts";

export interface Sandbox {
  readonly rootfs: string;
  /** Options of bubblewrap for further mounts. */
  readonly mounts?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly command: readonly string[];
}

const unshared = ["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts"] as const;
const folders = ["--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev", "--chdir", stateDirectory] as const;

/**
 * Returns a command line. The root is read-only, and the state directory is empty unless `mounts` says otherwise. Root becomes the image's user
 * first, so that files of root belong to somebody else inside too.
 */
export function sandboxed({ rootfs, mounts, env, command }: Sandbox): string[] {
  const id = String(nonroot);
  const isRoot = process.getuid?.() === 0;
  return [
    ...(isRoot ? ["setpriv", `--reuid=${id}`, `--regid=${id}`, "--clear-groups"] : []),
    ...["bwrap", ...unshared, "--uid", id, "--gid", id, "--die-with-parent", "--cap-drop", "ALL", "--clearenv"],
    ...Object.entries(env ?? {}).flatMap(([name, value]) => ["--setenv", name, value]),
    ...["--ro-bind", rootfs, "/"],
    ...(mounts ?? ["--perms", "0700", "--tmpfs", stateDirectory]),
    ...folders,
    ...command,
  ];
}
