/** The unit by systemd's own tools, and against the code. */
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { allSettings, type SettingName } from "../../src/config/known-settings.ts";
import { flags } from "../../src/runtime/flags.js";
import { analyze, file, installed, root, setting, unit } from "./unit.ts";

/** As systemd before 254 says; it goes on without them. */
const newer = /Unknown key '(RestartSteps|RestartMaxDelaySec)' in section \[Service\], ignoring\./;

/** The unit with the service in this checkout, since only a program that is there passes; with a file beside it that changes it. */
function verify(text: string, changes = ""): string[] {
  const copy = join(mkdtempSync(join(tmpdir(), "fluo-kms-unit-")), "fluo-kms.service");
  writeFileSync(copy, text.replaceAll(installed, root));
  mkdirSync(`${copy}.d`);
  writeFileSync(join(`${copy}.d`, "stop.conf"), changes);
  return analyze("verify", copy)
    .output.split("\n")
    .filter((line) => line !== "" && !newer.test(line));
}

it("has nothing that systemd complains of, and a mistake would be found", () => {
  expect(verify(unit)).toEqual([]);
  expect(verify(unit.replace("ProtectClock", "ProtectClocks")).join()).toContain("Unknown key 'ProtectClocks'");
});

it("exposes no more than 1.5, and a weaker unit would fail", () => {
  const security = ["security", "--offline=true", "--no-pager", "--threshold=15"];
  const { status, output } = analyze(...security, file);
  console.log(output.split("\n").find((line) => line.includes("Overall exposure")));
  expect(status).toBe(0);
  const copy = join(mkdtempSync(join(tmpdir(), "fluo-kms-unit-")), "fluo-kms.service");
  writeFileSync(copy, unit.replace("CapabilityBoundingSet=\n", ""));
  expect(analyze(...security, copy).status).not.toBe(0);
});

it("starts Node with the flags of the service, the system's authorities and the settings of /etc", () => {
  expect(setting("ExecStart").split(" ")).toEqual([
    `${installed}/node_modules/.bin/node`,
    ...flags,
    "--use-system-ca",
    `${installed}/src/main.js`,
    "--config",
    "/etc/fluo-kms/application.properties",
  ]);
});

it("is started again whatever happens, except after a mistake in the configuration", () => {
  expect(setting("StartLimitIntervalSec")).toBe("0");
  expect(setting("Restart")).toBe("on-failure");
  expect(setting("RestartPreventExitStatus")).toBe("2");
});

/** What follows the drain takes 10 s at most; the rest is for a busy machine. */
const afterGraceMs = 15_000;

const defaultMs = (name: SettingName) => millisecondsOf(name, (allSettings[name] as { standard: string }).standard);

function millisecondsOf(name: SettingName, text: string): number {
  return (allSettings[name] as { parse(text: string): unknown }).parse(text) as number;
}

it("waits for the delay and the grace of a stop, and for what follows", () => {
  const stopMs = defaultMs("fluo.kms.shutdown.delay") + defaultMs("fluo.kms.shutdown.grace");
  expect(Number(setting("TimeoutStopSec")) * 1_000).toBeGreaterThanOrEqual(stopMs + afterGraceMs);
});

it("waits for longer ones where they are changed as the documentation shows", () => {
  const [, changes] = /```ini\n([^`]+)```/.exec(readFileSync(join(root, "docs", "SYSTEMD.md"), "utf8"))!;
  const given = (name: string) => new RegExp(`\\b${name}=(\\S+)`).exec(changes!)![1]!;
  const delayMs = millisecondsOf("fluo.kms.shutdown.delay", given("FLUO_KMS_SHUTDOWN_DELAY"));
  const graceMs = millisecondsOf("fluo.kms.shutdown.grace", given("FLUO_KMS_SHUTDOWN_GRACE"));
  expect(delayMs).toBeGreaterThan(defaultMs("fluo.kms.shutdown.delay"));
  expect(Number(given("TimeoutStopSec")) * 1_000).toBeGreaterThanOrEqual(delayMs + graceMs + afterGraceMs);
  expect(verify(unit, changes)).toEqual([]);
  expect(verify(unit, changes!.replace("TimeoutStopSec", "TimeoutStopSecs")).join()).toContain("'TimeoutStopSecs'");
});
