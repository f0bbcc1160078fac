import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, beforeEach, expect, it, onTestFinished } from "vitest";
import { aloneWith, type Hold, holdDatabase, lockPaths } from "../../../src/store/sqlite/hold.ts";

let dir: string;
let file: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "fluo-kms-hold-"));
  file = join(dir, "kms.db");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Begins to hold the database in another process, which says whether it was alone. */
async function beginElsewhere() {
  const hold = new URL("../../../src/store/sqlite/hold.ts", import.meta.url);
  const program = `import { holdDatabase } from ${JSON.stringify(hold.href)};
    let alone = false;
    console.log("begins");
    globalThis.held = holdDatabase(${JSON.stringify(file)}, () => { alone = true; }); // a lock that is garbage would end
    console.log(alone);
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "--eval", program], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const ended = once(child, "exit");
  // A test that fails, or takes too long, must leave none behind.
  onTestFinished(async () => {
    child.kill("SIGKILL");
    await ended;
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const line = async () => {
    const { value, done } = await lines.next();
    if (done) throw new Error(`the process that holds ended with ${await ended}`);
    return value;
  };
  expect(await line()).toBe("begins");
  return {
    pid: child.pid!,
    wasAlone: async () => (await line()) === "true",
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function holdElsewhere() {
  const { wasAlone, kill } = await beginElsewhere();
  return { wasAlone: await wasAlone(), kill };
}

/** Whether a process has a lock of the database open, so that it holds it or waits for it. */
function hasLock(pid: number): boolean {
  const open = `/proc/${pid}/fd`;
  return readdirSync(open).some((descriptor) => {
    try {
      return readlinkSync(join(open, descriptor)).endsWith(".lock");
    } catch {
      return false; // it was closed meanwhile
    }
  });
}

function hold(): { held: Hold; wasAlone: boolean } {
  let wasAlone = false;
  const held = holdDatabase(file, () => {
    wasAlone = true;
  });
  return { held, wasAlone };
}

it("is alone where none holds it, in this process or in another, also after that was killed", async () => {
  const first = hold();
  expect(first.wasAlone).toBe(true);
  const second = hold();
  expect(second.wasAlone).toBe(false);
  const other = await holdElsewhere();
  expect(other.wasAlone).toBe(false);
  first.held.release();
  second.held.release();
  expect(hold().wasAlone).toBe(false);
  await other.kill();
});

it("ends with a process that is killed", async () => {
  const other = await holdElsewhere();
  expect(other.wasAlone).toBe(true);
  await other.kill();
  const { held, wasAlone } = hold();
  expect(wasAlone).toBe(true);
  held.release();
});

it("ends with what is thrown while it is alone", () => {
  expect(() =>
    holdDatabase(file, () => {
      throw new Error("lost");
    }),
  ).toThrow("lost");
  const { held, wasAlone } = hold();
  expect(wasAlone).toBe(true);
  held.release();
});

it("is kept by work that is alone, and refused to it while another holds", async () => {
  const other = await holdElsewhere();
  await expect(aloneWith(file, async () => "done")).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
  await other.kill();
  const answer = await aloneWith(file, async () => {
    await expect(aloneWith(file, async () => {})).rejects.toMatchObject({ code: "STORE_UNAVAILABLE" });
    return "done";
  });
  expect(answer).toBe("done");
  await expect(aloneWith(file, () => Promise.reject(new Error("lost")))).rejects.toThrow("lost");
  expect(hold().wasAlone).toBe(true);
});

it.runIf(process.platform === "linux")(
  "is looked for anew by who waited for one that was alone, and threw",
  async () => {
    let other: Awaited<ReturnType<typeof beginElsewhere>> | undefined;
    const refused = aloneWith(file, async () => {
      other = await beginElsewhere();
      while (!hasLock(other.pid)) await delay(1);
      throw new Error("lost");
    });
    await expect(refused).rejects.toThrow("lost");
    expect(await other!.wasAlone()).toBe(true);
  },
);

it("says what to do about a lock file that holds something else", () => {
  for (const path of lockPaths(file)) {
    writeFileSync(path, "no database of SQLite".repeat(100));
    expect(() => holdDatabase(file, () => {})).toThrow(`${path} cannot be used`);
    rmSync(path);
  }
});

it.runIf(process.getuid?.() === 0)("is by a file of the database's owner, where root is first", () => {
  writeFileSync(file, "");
  chownSync(file, 1234, 5678);
  hold().held.release();
  for (const path of lockPaths(file)) expect(statSync(path)).toMatchObject({ uid: 1234, gid: 5678 });
});

it("is by a file that its owner alone reads", () => {
  hold().held.release();
  for (const path of lockPaths(file)) expect(statSync(path).mode & 0o777).toBe(0o600);
});
