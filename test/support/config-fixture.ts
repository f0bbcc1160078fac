/** Configurations as tests write them: an environment, and the text of an application.properties in a directory of its own. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Config } from "../../src/config/config.ts";
import { loadConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problem.ts";

export type Env = Record<string, string>;

export function directory(files: Record<string, string | Uint8Array> = {}): string {
  const path = mkdtempSync(join(tmpdir(), "fluo-kms-"));
  onTestFinished(() => rmSync(path, { recursive: true }));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}

/** `properties` is the content of application.properties. */
export function load(env: Env, properties?: string): Config {
  return loadConfig({ env, cwd: directory(properties === undefined ? {} : { "application.properties": properties }) });
}

/** The problems as `name: description` lines, "" where there is none. */
export function problemsOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return "";
}
