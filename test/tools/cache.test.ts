/** Entries of the cache of other people's code, and what a suite says of what it cannot have. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { cached, cacheFolder } from "../../scripts/tools/cache.ts";
import { isRequired } from "../../scripts/tools/not-run.ts";
import { directory } from "../support/config-fixture.ts";

beforeEach(() => {
  vi.stubEnv("XDG_CACHE_HOME", directory({}));
  vi.spyOn(process.stderr, "write").mockReturnValue(true);
});
afterEach(() => {
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});

function made(folder: string, text = "made"): void {
  writeFileSync(join(folder, "file"), text);
}

it("makes an entry once, and names it for the thing and all that defines it", async () => {
  const first = await cached("thing", ["version 1"], (folder) => made(folder));
  expect(first.startsWith(join(cacheFolder(), "thing-"))).toBe(true);
  expect(await cached("thing", ["version 1"], () => expect.fail("made twice"))).toBe(first);
  const others = [await cached("thing", ["version 2"], made), await cached("thing", ["version ", "1"], made)];
  expect(new Set([first, ...others]).size).toBe(3);
  expect(readdirSync(cacheFolder())).toHaveLength(3);
});

it("leaves nothing of an entry whose making failed", async () => {
  const failing = cached("thing", [], (folder) => {
    made(folder);
    throw new Error("no network");
  });
  await expect(failing).rejects.toThrow("no network");
  expect(readdirSync(cacheFolder())).toEqual([]);
});

it("takes the entry of whoever was first, and does not change it", async () => {
  const place = await cached("thing", [], (folder, place) => {
    mkdirSync(place);
    made(place, "somebody else's");
    made(folder);
  });
  expect(readFileSync(join(place, "file"), "utf8")).toBe("somebody else's");
  expect(readdirSync(cacheFolder())).toHaveLength(1);
});

it("tells what makes an entry where it will be", async () => {
  let promised = "";
  const place = await cached("thing", [], (_, place) => {
    expect(existsSync(place)).toBe(false);
    promised = place;
  });
  expect(promised).toBe(place);
});

it.each(["", "relative"])("is below the home directory if XDG_CACHE_HOME is '%s'", (given) => {
  vi.stubEnv("XDG_CACHE_HOME", given);
  expect(cacheFolder()).toBe(join(homedir(), ".cache", "fluo-kms"));
});

it("requires every part with CI=true and with TEST_ALL=1, and otherwise none", () => {
  const all = [{ CI: "true" }, { TEST_ALL: "1" }, {}, { CI: "", TEST_ALL: "0" }];
  expect(all.map((env) => isRequired(env))).toEqual([true, true, false, false]);
});
