import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { changedSince, findBase } from "../../scripts/gate/change.ts";

const now = new Date("2026-03-10T12:00:00Z");
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "fluo-kms-change-"));
  git("init", "--quiet", "--initial-branch=main");
});

function git(...args: string[]): string {
  return execFileSync("git", args, { cwd: root, encoding: "utf8" }).trim();
}

/** Returns the commit's name. */
function commit(file: string, date: string): string {
  writeFileSync(join(root, file), date);
  git("add", "--all");
  const who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.test"];
  const env = { ...process.env, GIT_AUTHOR_DATE: date, GIT_COMMITTER_DATE: date };
  execFileSync("git", [...who, "commit", "--quiet", "--message", file], { cwd: root, env });
  return git("rev-parse", "HEAD");
}

describe("the base of a change", () => {
  it("is what is named, by any name that Git knows", () => {
    const first = commit("one", "2026-03-01T00:00:00Z");
    commit("two", "2026-03-02T00:00:00Z");
    expect(findBase(root, "HEAD~1", now)).toEqual({ commit: first, how: "FLUO_CI_BASE" });
  });

  it("is refused if what is named is no commit", () => {
    commit("one", "2026-03-01T00:00:00Z");
    expect(() => findBase(root, "no-such", now)).toThrow("FLUO_CI_BASE is no-such, which is no commit here");
  });

  it("is where a branch left origin/HEAD", () => {
    const first = commit("one", "2026-03-10T10:00:00Z");
    git("update-ref", "refs/remotes/origin/main", first);
    git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main");
    commit("two", "2026-03-10T11:00:00Z");
    expect(findBase(root, undefined, now)).toEqual({ commit: first, how: "the merge base with origin/HEAD" });
  });

  it("is the newest commit older than a day where HEAD is origin/HEAD itself, as in a fresh clone", () => {
    commit("one", "2026-03-01T00:00:00Z");
    const older = commit("two", "2026-03-09T11:00:00Z");
    const head = commit("three", "2026-03-10T11:00:00Z");
    git("update-ref", "refs/remotes/origin/HEAD", head);
    expect(findBase(root, undefined, now)).toEqual({
      commit: older,
      how: "the newest commit that is older than a day",
    });
  });

  it("is not there in a clone without any of these", () => {
    commit("one", "2026-03-10T11:00:00Z");
    expect(findBase(root, "", now)).toBeUndefined();
  });
});

it("a change has what was committed, moved, deleted and edited since, and what Git does not know yet", () => {
  commit("kept", "2026-03-01T00:00:00Z");
  commit("moved", "2026-03-01T00:00:00Z");
  const base = commit("gone", "2026-03-01T00:00:00Z");
  git("mv", "moved", "moved-here");
  git("rm", "--quiet", "gone");
  commit("added", "2026-03-02T00:00:00Z");
  writeFileSync(join(root, "kept"), "edited");
  writeFileSync(join(root, "unknown"), "");
  const changed = changedSince(root, { commit: base });
  expect(changed).toEqual(["added", "gone", "kept", "moved", "moved-here", "unknown"]);
});
