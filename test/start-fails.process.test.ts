/**
 * A start that fails at any part leaves nothing open: the process ends by itself, without a handle, a timer, a thread or a write-ahead log.
 * The parts are found by what the start registers to be closed, so that one that is added later is tried too.
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { describe, expect, it, onTestFinished } from "vitest";

interface Ended {
  /** The message of what the start failed with; undefined where it did not. */
  failure: string | undefined;
  /** How many parts had been started. */
  parts: number;
  /** Resources of Node that are still open: timers, sockets, servers and threads. */
  open: string[];
  /** Files of the store beside the database itself and its lock file, which stays, and is locked by a process that lives alone. */
  files: string[];
  /** Words of the log that tell of the end. */
  words: string[];
}

/** One start: the part after the one of this number fails; none, if it is 0. Tries with the same store share its directory. */
interface Try {
  failAfter?: number;
  env?: Record<string, string>;
  store?: string;
}

const src = (path: string) => pathToFileURL(join(import.meta.dirname, "..", "src", path)).href;

/** Starts the service once for each try, one after the other, in one process, which has to end by itself after the last. */
async function start(...tries: Try[]): Promise<Ended[]> {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-start-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const all = tries.map(({ failAfter = 0, env = {}, store }, index) => {
    const cwd = join(dir, String(index));
    mkdirSync(cwd);
    const database = join(store === undefined ? cwd : join(dir, store), "kms.db");
    mkdirSync(dirname(database), { recursive: true });
    const settings = {
      FLUO_KMS_HTTP_PORT: "0",
      FLUO_KMS_GRPC_PORT: "0",
      FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(cwd, "master.key"),
      FLUO_KMS_SQLITE_FILE: database,
      ...env,
    };
    return { failAfter, cwd, env: settings };
  });
  writeFileSync(join(dir, "start.mjs"), script(all));
  const options = { cwd: dir, env: { PATH: process.env.PATH, NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE } };
  const { stdout } = await promisify(execFile)(process.execPath, [join(dir, "start.mjs")], options);
  const ends: Ended[] = [];
  let words: string[] = [];
  for (const line of stdout.split("\n")) {
    const [, word] = /"msg":"(draining|stopped|the start failed)/.exec(line) ?? [];
    if (word !== undefined) words.push(word);
    if (!line.startsWith('{"parts"')) continue;
    const { files, ...end } = JSON.parse(line);
    ends.push({ failure: undefined, ...end, words, files: files.filter((name: string) => !stays.test(name)) });
    words = [];
  }
  expect(ends).toHaveLength(tries.length);
  return ends;
}

/** No process.exit: a handle that is left open keeps the process, and the test, from its end. */
function script(tries: readonly object[]): string {
  return `
    import { createHook } from "node:async_hooks";
    import { readdirSync } from "node:fs";
    import { dirname } from "node:path";
    import { setImmediate as nextTurn } from "node:timers/promises";
    const open = new Map();
    const kinds = /^(Timeout|TCPSERVERWRAP|TCPWRAP|PIPEWRAP|TLSWRAP|HTTP2SESSION|WORKER|FSEVENTWRAP|STATWATCHER|MESSAGEPORT)$/;
    createHook({
      init: (id, kind) => kinds.test(kind) && open.set(id, kind),
      destroy: (id) => open.delete(id),
    }).enable();
    const { startServer } = await import(${JSON.stringify(src("server.ts"))});
    const { loadConfig } = await import(${JSON.stringify(src("config/load.ts"))});
    let failAfter = 0;
    let parts = 0;
    const { adopt } = AsyncDisposableStack.prototype;
    AsyncDisposableStack.prototype.adopt = function (part, close) {
      const adopted = adopt.call(this, part, close);
      parts += 1;
      if (parts === failAfter) throw new Error("a part fails on purpose");
      return adopted;
    };
    for (const each of ${JSON.stringify(tries)}) {
      ({ failAfter } = each);
      parts = 0;
      const before = new Set(open.keys());
      const left = () => [...open].filter(([id]) => !before.has(id)).map(([, kind]) => kind);
      let failure;
      let isStopped = false;
      try {
        const { stop } = await startServer(loadConfig(each));
        stop().then(() => {
          isStopped = true;
        });
        await stop();
        if (!isStopped) throw new Error("a second stop ended before the first");
      } catch (error) {
        failure = error.message;
      }
      // Node tells of what was closed last in a later turn, and of threads and sockets once the system has.
      const waitsUntil = Date.now() + 20_000;
      while (left().length > 0 && Date.now() < waitsUntil) await nextTurn();
      const files = readdirSync(dirname(each.env.FLUO_KMS_SQLITE_FILE)).filter((name) => /^kms\\.db./.test(name));
      console.log(JSON.stringify({ parts, failure, open: left(), files }));
    }
  `;
}

/** A port that another server has. */
async function takenPort(): Promise<string> {
  const server = createServer();
  onTestFinished(() => void server.close());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return String((server.address() as AddressInfo).port);
}

/** Lock files, which another process may hold by now, and the heads file. */
const stays = /^kms\.db(\.lock|\.opening\.lock|\.heads\.lock|-heads|-heads\.1)$/;
const nothing = { open: [], files: [] };

describe("a start leaves nothing open", () => {
  it("once it is stopped, and whichever part fails", async () => {
    const [whole] = await start({});
    expect(whole).toMatchObject({ ...nothing, failure: undefined, words: ["draining", "stopped"] });
    const { parts } = whole!;
    expect(parts).toBeGreaterThan(8);
    const numbers = Array.from({ length: parts }, (_, index) => index + 1);
    const ends = await start(...numbers.map((failAfter) => ({ failAfter })));
    for (const [index, part] of numbers.entries()) {
      const failure = "a part fails on purpose";
      const words = part === 1 ? [] : ["the start failed"]; // the first is the log's own
      expect(ends[index], `after part ${part}`).toEqual({ ...nothing, failure, parts: part, words });
    }
  });

  it("if a port is taken, or the other provider key does not open", async () => {
    const port = await takenPort();
    const other = {
      FLUO_KMS_OTHER_PROVIDER: "vault",
      FLUO_KMS_OTHER_VAULT_ADDR: `http://127.0.0.1:${port}`,
      FLUO_KMS_OTHER_VAULT_TOKEN: "t",
      FLUO_KMS_OTHER_VAULT_TRANSIT_KEY: "k",
    };
    const ends = await start(
      { env: { FLUO_KMS_GRPC_PORT: port } },
      { env: { FLUO_KMS_HTTP_PORT: port } },
      { env: other },
    );
    for (const end of ends) expect(end).toMatchObject(nothing);
    const inUse = expect.stringContaining("EADDRINUSE");
    expect(ends.map(({ failure }) => failure)).toEqual([inUse, inUse, expect.any(String)]);
  });

  it("if the store was made under another master key", async () => {
    const [made, refused] = await start({ store: "shared" }, { store: "shared" });
    expect(made).toMatchObject({ failure: undefined });
    expect(refused).toMatchObject({ ...nothing, failure: expect.stringMatching(/is under local/) });
  });
});
