/** The unit by systemd's own tools, and against the code. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { flags } from "../../src/runtime/flags.js";
import { analyze, file, installed, root, setting, unit } from "./unit.ts";

/** As systemd before 254 says; it goes on without them. */
const newer = /Unknown key '(RestartSteps|RestartMaxDelaySec)' in section \[Service\], ignoring\./;

/** The unit with the service in this checkout, since only a program that is there passes. */
function verify(text: string): string[] {
  const copy = join(mkdtempSync(join(tmpdir(), "fluo-kms-unit-")), "fluo-kms.service");
  writeFileSync(copy, text.replaceAll(installed, root));
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
