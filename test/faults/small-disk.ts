/**
 * A file system of its own for a test, as small as the test says: a tmpfs, that fills up and can be made read-only. Root mounts it for
 * everybody. Anybody else mounts it in a namespace, where the kernel allows that; there, only processes that enter it see the disk.
 *
 * A shell holds it and waits for orders. When its input ends, with the test process at the latest, it takes the disk away.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, realpathSync, rmdirSync, rmSync, writeSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";

export interface SmallDisk {
  /** Its directory, as processes see it that are started with `enter`. */
  dir: string;
  /**
   * What a command must begin with to see the disk, e.g. `spawn(…[...disk.enter, process.execPath, "main.js"])`. Empty for root, where
   * the test process sees it too. Otherwise it changes the working directory to `/`; the process is the same one, with the same id.
   */
  enter: readonly string[];
  /** The same directory for the test process, to look at files. Not for SQLite, which follows the link in it that leads elsewhere. */
  outside: string;
  /** Leaves no room. A write fails with ENOSPC, unless it is to a part of a file that has been written before. */
  fill(): void;
  /** Undoes `fill`. */
  free(): void;
  /** Fails while a file on it is open for writing: then, `failingCalls` can say EROFS. */
  remountReadOnly(): Promise<void>;
  remountReadWrite(): Promise<void>;
  /** Takes the disk away, with what is on it, also from under processes that have files open. */
  unmount(): Promise<void>;
}

/** Says `ready`; then answers each line of mount options with `ok`, or why not. */
const holderScript = `
mount -t tmpfs -o "size=$2,mode=700" fluo-kms-test "$1" || exit 1
echo ready
while read -r options; do
  if why=$(mount -o "remount,$options" fluo-kms-test "$1" 2>&1); then echo ok; else echo "$why" | tr '\\n' ' '; echo; fi
done
umount "$1" || umount -l "$1"
rmdir "$1"
`;

/** Why there can be none here, if so. */
export async function whyNoSmallDisk(): Promise<string | undefined> {
  if (process.platform !== "linux") return "small disks are for Linux only";
  try {
    await (await smallDisk(65_536)).unmount();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

export async function smallDisk(bytes: number): Promise<SmallDisk> {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), "fluo-kms-disk-")));
  const namespace = process.getuid!() === 0 ? [] : ["unshare", "--map-root-user", "--mount"];
  const [command, ...args] = [...namespace, "/bin/sh", "-c", holderScript, "holder", dir, String(bytes)];
  const holder = spawn(command!, args, { stdio: ["pipe", "pipe", "pipe"], detached: true });
  const err = text(holder.stderr);
  const closed = new Promise<void>((resolve) => {
    holder.once("close", () => resolve()).once("error", () => resolve());
  });
  const lines = createInterface({ input: holder.stdout });
  const line = () =>
    Promise.race([
      once(lines, "line").then(([said]) => said as string),
      closed.then(async () => `the disk is gone: ${await err}`),
    ]);
  const first = await line();
  if (first !== "ready") {
    rmdirSync(dir);
    throw new Error(`cannot mount a small disk: ${first}`);
  }
  holder.unref();
  for (const pipe of [holder.stdin, holder.stdout, holder.stderr]) (pipe as Socket).unref();

  async function remount(options: string): Promise<void> {
    const answer = line();
    holder.stdin.write(`${options}\n`);
    const said = await answer;
    if (said !== "ok") throw new Error(`cannot remount: ${said}`);
  }

  const enter = ["nsenter", "--preserve-credentials", "--user", "--mount", `--target=${holder.pid}`];
  const outside = namespace.length === 0 ? dir : `/proc/${holder.pid}/root${dir}`;
  return {
    dir,
    enter: namespace.length === 0 ? [] : enter,
    outside,
    fill: () => fill(join(outside, "ballast")),
    free: () => rmSync(join(outside, "ballast"), { force: true }),
    remountReadOnly: () => remount("ro"),
    remountReadWrite: () => remount("rw"),
    async unmount() {
      holder.ref();
      holder.stdin.end();
      await closed;
    },
  };
}

function fill(path: string): void {
  const fd = openSync(path, "a");
  try {
    for (;;) writeSync(fd, new Uint8Array(65_536));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    closeSync(fd);
  }
}
