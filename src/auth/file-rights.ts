/**
 * Files that others could change, or in whose place they could put another. Whoever can do that to a policy may do what every caller may. The
 * bits of a file's mode tell; access control lists are not looked at.
 */
import { accessSync, constants, lstatSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

const others = 0o002;
const sticky = 0o1000;

/** What others can write, of a file and the folders that lead to it; undefined where there is nothing, and for a file that is not there. */
export function writableByOthers(path: string): string | undefined {
  if (process.platform === "win32") return undefined; // its modes say nothing
  try {
    const isOpen = ({ mode }: { mode: number }) => (mode & others) !== 0;
    if (isOpen(statSync(path)) && !isReadOnly(path)) return path;
    // A file in a folder such as /tmp is safe from all but its owner.
    return foldersOf(path).find((folder) => {
      const status = statSync(folder);
      return isOpen(status) && (status.mode & sticky) === 0 && !isReadOnly(folder);
    });
  } catch {
    return undefined; // What cannot be read is told elsewhere.
  }
}

/** The folder that a file is named in, and those of the links on the way to it. */
function foldersOf(path: string): string[] {
  const folder = dirname(path);
  if (!lstatSync(path).isSymbolicLink()) return [folder];
  return [folder, ...foldersOf(resolve(realpathSync(folder), readlinkSync(path)))];
}

/** Tells whether a mount is read-only, where rights mean nothing: Kubernetes gives its volumes those of everybody. */
function isReadOnly(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EROFS";
  }
}
