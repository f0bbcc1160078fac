/**
 * A unix socket that the service's own user alone can reach. Its directory, of mode 0700, is the only credential; so the directory is opened once,
 * checked, and bound in through its descriptor: whoever swaps a path meanwhile swaps nothing of this.
 */
import {
  chmodSync,
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  unlinkSync,
} from "node:fs";
import { connect, type Server } from "node:net";
import { basename, dirname, join } from "node:path";
import { KmsError } from "../../errors.ts";

/** Named here for messages: no part below the configuration reads settings. */
export const localSocketName = "fluo.kms.local-socket";

/** Bytes of a path that the system takes for a socket (sun_path). */
const maxPathBytes = process.platform === "linux" ? 107 : 103;
/** Bits of a mode that give others than the owner a right. */
const others = 0o077;

/** Has the server listen at the path. Rejects with a sentence that says what to do. The returned function lets go of the directory. */
export async function listenAt(server: Server, path: string): Promise<() => void> {
  if (process.platform === "win32") throw refusal(path, "Windows has no such sockets; leave the setting out");
  const bytes = Buffer.byteLength(path);
  if (bytes > maxPathBytes) throw refusal(path, `has ${bytes} bytes, and ${maxPathBytes} are the most; shorten it`);
  const directory = openPrivate(path, dirname(path));
  try {
    const within = join(pathOf(directory) ?? dirname(path), basename(path));
    if (Buffer.byteLength(within) > maxPathBytes) throw refusal(path, "its last part is too long; shorten it");
    await removeDead(path, within);
    await bind(server, path, within);
    chmodSync(within, 0o600);
    return () => closeSync(directory);
  } catch (error) {
    closeSync(directory);
    throw error;
  }
}

/** Opens the directory, which is made if it is missing. Its parent must exist. */
function openPrivate(path: string, directory: string): number {
  const what = `its directory ${directory}`;
  try {
    mkdirSync(directory, { mode: 0o700 });
  } catch (error) {
    if (codeOf(error) !== "EEXIST") {
      throw refusal(path, `${what} cannot be made (${codeOf(error)}); make its parent for this user`);
    }
  }
  let opened: number;
  try {
    opened = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW);
  } catch (error) {
    if (["ENOTDIR", "ELOOP"].includes(codeOf(error))) {
      throw refusal(path, `${what} is a link or no directory; name a directory of its own`);
    }
    throw refusal(path, `${what} cannot be opened (${codeOf(error)}); name one of this user`);
  }
  const { uid, mode } = fstatSync(opened);
  if (uid === process.geteuid!() && (mode & others) === 0) return opened;
  closeSync(opened);
  if (uid !== process.geteuid!()) throw refusal(path, `${what} is of user ${uid}; name one of this user`);
  throw refusal(path, `others have rights to ${what}; run: chmod 700 ${directory}`);
}

/** A path by the descriptor, which leads to the directory whatever its name leads to by now; undefined if the system has none. */
function pathOf(directory: number): string | undefined {
  const path = `/proc/self/fd/${directory}`;
  return existsSync(path) ? path : undefined;
}

/** Removes the socket of a process that was killed. Nothing else is removed: not a file, not a link, not a socket that answers. */
async function removeDead(path: string, within: string): Promise<void> {
  const found = lstatSync(within, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw refusal(path, "is something else than a socket; remove it, or name another path");
  if (await isLive(within)) throw inUse(path);
  // What is removed is what was proved dead, also if two services start at once.
  const aside = join(dirname(within), `.${process.pid}`);
  renameSync(within, aside);
  if (await isLive(aside)) {
    renameSync(aside, within);
    throw inUse(path);
  }
  unlinkSync(aside);
}

function isLive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (live: boolean) => {
      socket.destroy();
      resolve(live);
    };
    socket.once("connect", () => settle(true));
    // A full queue is that of a process which lives.
    socket.once("error", (error) => settle(codeOf(error) !== "ECONNREFUSED"));
  });
}

function bind(server: Server, path: string, within: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error) =>
      reject(codeOf(error) === "EADDRINUSE" ? inUse(path) : refusal(path, `cannot be bound (${codeOf(error)})`));
    server.once("error", fail);
    server.listen({ path: within }, () => {
      server.off("error", fail);
      resolve();
    });
  });
}

function inUse(path: string): KmsError {
  return refusal(path, "another process listens there; stop it, or name another path");
}

function refusal(path: string, why: string): KmsError {
  return new KmsError("INVALID_ARGUMENT", `${localSocketName}=${path}: ${why}`);
}

function codeOf(error: unknown): string {
  return String((error as NodeJS.ErrnoException).code);
}
