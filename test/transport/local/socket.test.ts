/** The local socket where it is made: whose directory it takes, what it replaces, and what it leaves. */
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { listenAt } from "../../../src/transport/local/socket.ts";

let parent: string;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "fluo-kms-"));
});
afterEach(() => rmSync(parent, { recursive: true }));

async function listen(path: string): Promise<Server> {
  const server = createServer();
  const letGo = await listenAt(server, path);
  onTestFinished(() => new Promise((resolve) => server.close(() => resolve(letGo()))));
  return server;
}

const modeOf = (path: string) => (lstatSync(path).mode & 0o7777).toString(8);

describe("makes", () => {
  it("a directory of mode 0700 and a socket of mode 0600, and removes the socket", async () => {
    const path = join(parent, "local", "kms.sock");
    const server = createServer();
    const letGo = await listenAt(server, path);
    expect([modeOf(join(parent, "local")), modeOf(path)]).toEqual(["700", "600"]);
    await new Promise((resolve) => server.close(resolve));
    letGo();
    expect(readdirSync(join(parent, "local"))).toEqual([]);
  });

  it("no use of the bit that a directory inherits its group by", async () => {
    const directory = join(parent, "local");
    mkdirSync(directory);
    chmodSync(directory, 0o2700);
    await expect(listen(join(directory, "kms.sock"))).resolves.toBeDefined();
  });
});

describe("refuses", () => {
  const refused: [what: string, make: (directory: string, path: string) => void, why: RegExp][] = [
    [
      "a directory that is a link",
      (d) => {
        mkdirSync(`${d}-real`, { mode: 0o700 });
        symlinkSync(`${d}-real`, d);
      },
      /is a link or no directory/,
    ],
    ["a directory that is a file", (d) => writeFileSync(d, ""), /is a link or no directory/],
    [
      "a directory that its group may enter",
      (d) => {
        mkdirSync(d);
        chmodSync(d, 0o710);
      },
      /others have rights .*chmod 700/,
    ],
    [
      "a directory that all may list",
      (d) => {
        mkdirSync(d);
        chmodSync(d, 0o704);
      },
      /others have rights/,
    ],
    [
      "a path that is a file",
      (d, p) => {
        mkdirSync(d, { mode: 0o700 });
        writeFileSync(p, "kept");
      },
      /something else than a socket/,
    ],
    [
      "a path that is a link",
      (d, p) => {
        mkdirSync(d, { mode: 0o700 });
        symlinkSync("/etc/passwd", p);
      },
      /something else than a socket/,
    ],
    [
      "a path that is a link to nothing",
      (d, p) => {
        mkdirSync(d, { mode: 0o700 });
        symlinkSync("nothing", p);
      },
      /something else/,
    ],
  ];

  it.each(refused)("%s", async (_, make, why) => {
    const directory = join(parent, "local");
    const path = join(directory, "kms.sock");
    make(directory, path);
    const before = readdirSync(parent);
    await expect(listen(path)).rejects.toThrow(why);
    await expect(listen(path)).rejects.toThrow(/^fluo\.kms\.local-socket=/);
    expect(readdirSync(parent)).toEqual(before);
  });

  it("a directory whose parent is missing", async () => {
    await expect(listen(join(parent, "a", "b", "kms.sock"))).rejects.toThrow(/cannot be made \(ENOENT\)/);
  });

  it("a path that the system cannot hold", async () => {
    await expect(listen(join(parent, "x".repeat(120), "kms.sock"))).rejects.toThrow(/shorten it/);
    expect(readdirSync(parent)).toEqual([]);
  });

  it.runIf(existsSync("/proc/self/fd"))("a last part that leaves no room for the descriptor", async () => {
    // The whole path is short enough.
    const directory = mkdtempSync("/tmp/f");
    onTestFinished(() => rmSync(directory, { recursive: true }));
    await expect(listen(join(directory, "x".repeat(92)))).rejects.toThrow(/its last part is too long; shorten it/);
  });

  it.skipIf(process.getuid?.() !== 0)("a directory of another user", async () => {
    const directory = join(parent, "local");
    mkdirSync(directory, { mode: 0o700 });
    chownSync(directory, 65532, 65532);
    await expect(listen(join(directory, "kms.sock"))).rejects.toThrow(/is of user 65532/);
  });

  it("a socket that answers, and leaves it alone", async () => {
    const path = join(parent, "local", "kms.sock");
    await listen(path);
    await expect(listen(path)).rejects.toThrow(/another process listens there/);
    expect(readdirSync(join(parent, "local"))).toEqual(["kms.sock"]);
  });
});

it("replaces the socket of a process that was killed", async () => {
  const path = join(parent, "local", "kms.sock");
  mkdirSync(join(parent, "local"), { mode: 0o700 });
  const dead = createServer();
  await new Promise<void>((resolve) => dead.listen(`${path}.bound`, resolve));
  linkSync(`${path}.bound`, path);
  await new Promise((resolve) => dead.close(resolve));
  expect(lstatSync(path).isSocket()).toBe(true);
  await listen(path);
  expect(readdirSync(join(parent, "local"))).toEqual(["kms.sock"]);
});

it.runIf(existsSync("/proc/self/fd"))(
  "is removed from its directory, also after that was swapped for another",
  async () => {
    const directory = join(parent, "local");
    const server = createServer();
    const letGo = await listenAt(server, join(directory, "kms.sock"));
    renameSync(directory, `${directory}-moved`);
    mkdirSync(directory);
    writeFileSync(join(directory, "kms.sock"), "another's");
    await new Promise((resolve) => server.close(resolve));
    letGo();
    expect([readdirSync(`${directory}-moved`), readdirSync(directory)]).toEqual([[], ["kms.sock"]]);
  },
);
