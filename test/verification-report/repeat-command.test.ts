/** The command that makes a report again, as a shell takes it apart. */
import { spawnSync } from "node:child_process";
import { expect, it } from "vitest";
import type { Asked, Exhibit } from "../../src/verification-report/facts.ts";
import { repeatCommand } from "../../src/verification-report/repeat-command.ts";

const date = "2026-12-02T00:00:00Z";
const asked: Asked = {
  log: false,
  tenant: undefined,
  vkeys: [],
  from: undefined,
  to: undefined,
  anyOrder: false,
  keptBy: undefined,
};
const exhibit = (role: Exhibit["role"], name: string): Exhibit => ({ role, name, bytes: 1, sha256: "00" });

/** The arguments, as a shell gives them to the program. */
function argumentsOf(command: string): string[] {
  // Not every shell takes a dash in the name of a function.
  const script = `list() { printf '%s\\0' "$@"; }; ${command.replace("fluo-kms", "list")}`;
  return spawnSync("sh", ["-c", script], { encoding: "utf8" }).stdout.split("\0").slice(0, -1);
}

it("is short for a short question", () => {
  const exhibits = [exhibit("spans", "spans.json"), exhibit("keys", "keys.json")];
  expect(repeatCommand({ asked, exhibits }, date)).toBe(
    `fluo-kms verify --keys keys.json --report report.html --date ${date} spans.json`,
  );
});

it("has everything that was asked, and names that a shell would take apart or for options", () => {
  const exhibits = [
    exhibit("spans", "-spans $(x).json"),
    exhibit("keys", "Ann's keys.json"),
    exhibit("checkpoints", "-a"),
    exhibit("checkpoints", "b\nc"),
  ];
  const whole: Asked = {
    log: true,
    tenant: "acme",
    vkeys: ["kms.example.com/acme+a112ff2a+AZ3T=", "x"],
    from: 0,
    to: 7,
    anyOrder: true,
    keptBy: "Ann & Bob",
  };
  expect(argumentsOf(repeatCommand({ asked: whole, exhibits }, "2 December"))).toEqual([
    ...["verify", "--log", "--keys", "Ann's keys.json", "--vkey", "kms.example.com/acme+a112ff2a+AZ3T=", "--vkey", "x"],
    ...["--tenant", "acme", "--checkpoint=-a", "--checkpoint", "b\nc", "--kept-by", "Ann & Bob", "--from", "0"],
    ...["--to", "7", "--any-order", "--report", "report.html", "--date", "2 December", "./-spans $(x).json"],
  ]);
});

it.each(["\\'; id; '", "\u2019; id; \u2018", "=id", "a\\", "'", "`id`$(id)", "a!b", "~", "{a,b}", "*", "#", ""])(
  "keeps the name %j whole",
  (name) => {
    const command = repeatCommand({ asked, exhibits: [exhibit("spans", "spans"), exhibit("keys", name)] }, date);
    expect(argumentsOf(command)[2]).toBe(name);
    const between = command.replaceAll(/"(?:[^"\\]|\\\\)*"/g, "").match(/'[^']*'/g) ?? [];
    expect(between.join("")).not.toMatch(/[\\\u2018-\u201b]/);
    expect(command).not.toContain(" =");
  },
);
