/**
 * Files that nobody else may read, by the bits of their modes. Kubernetes gives the group of a volume the rights of its owner at each mount; so the
 * group may have rights if the operator says so, and only one that this process belongs to.
 */
import type { Stats } from "node:fs";

/** Named here for messages: no part of a store or a provider reads settings. */
export const groupReadableName = "fluo.kms.files.group-readable";

const groupMask = 0o070;
const worldMask = 0o007;

/** Says who else has rights to a file, and what to do; undefined if nobody has that may not. */
export function rightsOfOthers(
  path: string,
  { mode, gid }: Pick<Stats, "mode" | "gid">,
  { groupReadable }: { groupReadable: boolean },
): string | undefined {
  // Windows has no such modes: every file reads as 0o666 there.
  if (process.platform === "win32") return undefined;
  const [group, world] = [(mode & groupMask) !== 0, (mode & worldMask) !== 0];
  if (world) return `${path} can be read by others; run: chmod ${groupReadable ? "o=" : "600"} ${path}`;
  if (!group) return undefined;
  if (!groupReadable) {
    const instead = `or set ${groupReadableName}=true where a mount gives these rights, as Kubernetes does`;
    return `${path} can be read by its group; run: chmod 600 ${path}, ${instead}`;
  }
  if (ownGroups().includes(gid)) return undefined;
  return `${path} can be read by group ${gid}, which is none of this process; run: chmod 600 ${path}`;
}

/** Effective group first. */
function ownGroups(): number[] {
  return [process.getegid!(), ...process.getgroups!()];
}
