/** The logs of test/vectors/log: made in Python by make_logs.py, from nothing of this project, each with what every verifier finds in it. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { keySetOf, type LogOptions, wantOfLog } from "../../../clients/conformance/judge/reference.ts";

interface LogCase {
  name: string;
  jwks: string;
  vkeys?: string[];
  tenant?: string;
  /** Base64. */
  export: string;
  log: LogOptions;
  want: unknown;
}

const cases: LogCase[] = JSON.parse(readFileSync(new URL("../../vectors/log/logs.json", import.meta.url), "utf8"));

it.each(cases)("$name", ({ jwks, vkeys, tenant, log, want, ...given }) => {
  const keys = keySetOf(jwks, vkeys)!;
  expect(wantOfLog(Buffer.from(given.export, "base64"), keys, { tenant, log })).toEqual(want);
});
