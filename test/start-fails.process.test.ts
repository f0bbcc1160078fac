/**
 * A start that fails at any part leaves nothing open: the process ends by itself, without a handle, a timer, a thread or a write-ahead log.
 * The parts are found by what the start registers to be closed, so that one that is added later is tried too.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
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

const src = (path: string) => pathToFileURL(join(import.meta.dirname, "..", "src", path)).href;

/** Starts the service in a process of its own, in which the part behind the one of this number fails; none, if it is 0. */
async function start(failBehind: number, env: Record<string, string> = {}): Promise<Ended> {
  const dir = mkdtempSync(join(tmpdir(), "fluo-kms-start-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  writeFileSync(join(dir, "start.mjs"), script(failBehind));
  const settings = {
    FLUO_KMS_HTTP_PORT: "0",
    FLUO_KMS_GRPC_PORT: "0",
    FLUO_KMS_LOCAL_MASTER_KEY_FILE: join(dir, "master.key"),
    FLUO_KMS_SQLITE_FILE: join(dir, "kms.db"),
    ...env,
  };
  const options = { cwd: dir, env: { PATH: process.env.PATH, ...settings } };
  const { stdout } = await promisify(execFile)(process.execPath, [join(dir, "start.mjs")], options);
  const told = stdout.split("\n").find((line) => line.startsWith('{"parts"'));
  const files = readdirSync(dir).filter((name) => /^kms\.db./.test(name) && !stays.test(name));
  const words = [...stdout.matchAll(/"msg":"(draining|stopped|the start failed)/g)].map(([, word]) => word!);
  return { failure: undefined, ...JSON.parse(told!), files, words };
}

/** No process.exit: a handle that is left open keeps the process, and the test, from its end. */
function script(failBehind: number): string {
  return `
    import { createHook } from "node:async_hooks";
    const open = new Map();
    const kinds = /^(Timeout|TCPSERVERWRAP|TCPWRAP|PIPEWRAP|TLSWRAP|HTTP2SESSION|WORKER|FSEVENTWRAP|STATWATCHER|MESSAGEPORT)$/;
    createHook({
      init: (id, kind) => kinds.test(kind) && open.set(id, kind),
      destroy: (id) => open.delete(id),
    }).enable();
    const { startServer } = await import(${JSON.stringify(src("server.ts"))});
    const { loadConfig } = await import(${JSON.stringify(src("config/load.ts"))});
    let parts = 0;
    const { adopt } = AsyncDisposableStack.prototype;
    AsyncDisposableStack.prototype.adopt = function (part, close) {
      const adopted = adopt.call(this, part, close);
      parts += 1;
      if (parts === ${failBehind}) throw new Error("a part fails on purpose");
      return adopted;
    };
    const before = new Set(open.keys());
    let failure;
    let isStopped = false;
    try {
      const { stop } = await startServer(loadConfig({ env: process.env, cwd: process.cwd() }));
      stop().then(() => {
        isStopped = true;
      });
      await stop();
      if (!isStopped) throw new Error("a second stop ended before the first");
    } catch (error) {
      failure = error.message;
    }
    // Node tells of what was closed last in a later turn, if there is one.
    process.once("beforeExit", () => setImmediate(() => setImmediate(() => {})));
    process.on("exit", () => {
      const left = [...open].filter(([id]) => !before.has(id)).map(([, kind]) => kind);
      console.log(JSON.stringify({ parts, failure, open: left }));
    });
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
  it("once it is stopped", async () => {
    expect(await start(0)).toMatchObject({ ...nothing, failure: undefined, words: ["draining", "stopped"] });
  });

  it("whichever part fails", async () => {
    const { parts } = await start(0);
    expect(parts).toBeGreaterThan(8);
    for (let part = 1; part <= parts; part += 1) {
      const failure = "a part fails on purpose";
      const words = part === 1 ? [] : ["the start failed"]; // the first is the log's own
      expect(await start(part), `behind part ${part}`).toEqual({ ...nothing, failure, parts: part, words });
    }
  });

  it.each(["FLUO_KMS_GRPC_PORT", "FLUO_KMS_HTTP_PORT"])("where %s is taken", async (name) => {
    expect(await start(0, { [name]: await takenPort() })).toMatchObject({
      ...nothing,
      failure: expect.stringContaining("EADDRINUSE"),
    });
  });

  it("where the other provider key does not open", async () => {
    const other = {
      FLUO_KMS_OTHER_PROVIDER: "vault",
      FLUO_KMS_OTHER_VAULT_ADDR: `http://127.0.0.1:${await takenPort()}`,
    };
    const token = { FLUO_KMS_OTHER_VAULT_TOKEN: "t", FLUO_KMS_OTHER_VAULT_TRANSIT_KEY: "k" };
    const { failure, ...ended } = await start(0, { ...other, ...token });
    expect(ended).toMatchObject(nothing);
    expect(failure).toBeDefined();
  });

  it("where the store was made under another master key", async () => {
    const dir = mkdtempSync(join(tmpdir(), "fluo-kms-start-"));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    const store = { FLUO_KMS_SQLITE_FILE: join(dir, "kms.db") };
    expect(await start(0, store)).toMatchObject({ failure: undefined });
    const { failure, open } = await start(0, store);
    expect(open).toEqual([]);
    expect(failure).toMatch(/is under local/);
    expect(readdirSync(dir).filter((name) => !stays.test(name))).toEqual(["kms.db"]);
  });
});
