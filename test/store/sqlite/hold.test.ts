import { spawn } from "node:child_process";
import { once } from "node:events";
import { chownSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, it, onTestFinished } from "vitest";
import { aloneWith, type Hold, holdDatabase } from "../../../src/store/sqlite/hold.ts";

let dir: string;
let file: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "fluo-kms-hold-"));
  file = join(dir, "kms.db");
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

/** Holds the database in another process, which says whether it was alone. */
async function holdElsewhere() {
  const hold = new URL("../../../src/store/sqlite/hold.ts", import.meta.url);
  const program = `import { holdDatabase } from ${JSON.stringify(hold.href)};
    let alone = false;
    holdDatabase(${JSON.stringify(file)}, () => { alone = true; });
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
  const line = await Promise.race([
    once(createInterface({ input: child.stdout }), "line").then(([first]) => first),
    ended.then(([code]) => Promise.reject(new Error(`the process that holds ended with ${code}`))),
  ]);
  return {
    wasAlone: line === "true",
    async kill() {
      child.kill("SIGKILL");
      await ended;
    },
  };
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

it("says what to do about a lock file that holds something else", () => {
  writeFileSync(`${file}.lock`, "no database of SQLite".repeat(100));
  expect(() => holdDatabase(file, () => {})).toThrow(`remove it while nothing uses the store`);
});

it.runIf(process.getuid?.() === 0)("is by a file of the database's owner, where root is first", () => {
  writeFileSync(file, "");
  chownSync(file, 1234, 5678);
  hold().held.release();
  expect(statSync(`${file}.lock`)).toMatchObject({ uid: 1234, gid: 5678 });
});

it("is by a file that its owner alone reads", () => {
  hold().held.release();
  expect(statSync(`${file}.lock`).mode & 0o777).toBe(0o600);
});
