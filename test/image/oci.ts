/** The configuration of an OCI runtime, as Kubernetes' `restricted` asks for it, in the network of this machine. */

export interface Hardening {
  readonly rootfs: string;
  readonly env: Readonly<Record<string, string>>;
  readonly seccomp: object;
  /** Options of the mount of the state directory. */
  readonly owner: string;
  readonly id: string;
  readonly stateDirectory: string;
  /** Further mounts. */
  readonly mounts?: readonly object[];
}

export interface RuntimeConfig {
  readonly process: object;
  readonly linux?: object;
}

/** Returns what umoci wrote with fewer rights. The namespaces of users and of the network are left out: runc is root, and ports are free ones. */
export function hardened(
  config: RuntimeConfig,
  { rootfs, env, seccomp, owner, id, stateDirectory, mounts = [] }: Hardening,
): object {
  const none = { bounding: [], effective: [], permitted: [], inheritable: [], ambient: [] };
  const namespaces = ["pid", "ipc", "uts", "mount"].map((type) => ({ type }));
  const tmpfs = (destination: string, ...options: string[]) => ({
    destination,
    type: "tmpfs",
    source: "tmpfs",
    options: ["nosuid", "nodev", "noexec", ...options],
  });
  return {
    ...config,
    process: {
      ...config.process,
      terminal: false,
      env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
      capabilities: none,
      noNewPrivileges: true,
    },
    root: { path: rootfs, readonly: true },
    mounts: [
      { destination: "/proc", type: "proc", source: "proc" },
      {
        destination: "/dev",
        type: "tmpfs",
        source: "tmpfs",
        options: ["nosuid", "strictatime", "mode=755", "size=65536k"],
      },
      tmpfs("/tmp", "mode=1777"),
      tmpfs(stateDirectory, "mode=0700", ...owner.split(",")),
      ...mounts,
    ],
    linux: {
      ...config.linux,
      namespaces,
      seccomp,
      cgroupsPath: `/${id}`,
      uidMappings: undefined,
      gidMappings: undefined,
    },
  };
}
