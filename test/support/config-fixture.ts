/** Configurations as tests write them: an environment, and the text of an application.properties in a directory of its own. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Config } from "../../src/config/config.ts";
import { type Launch, launchOf } from "../../src/config/launch.ts";
import { loadConfig } from "../../src/config/load.ts";
import { ConfigError } from "../../src/config/problem.ts";
import { textsOf } from "./notice-texts.ts";

export type Env = Record<string, string>;

/** The least that profile prod wants, beside a policy.yaml. */
export const production = {
  FLUO_KMS_PROFILE: "prod",
  FLUO_KMS_AUTH: "policy",
  FLUO_KMS_POLICY_FILE: "policy.yaml",
  FLUO_KMS_PROVIDER: "aws",
  AWS_KMS_MASTER_KEY_ID: "alias/fluo-kms",
  FLUO_KMS_ISSUER: "kms.example.com",
};

export function directory(files: Record<string, string | Uint8Array> = {}): string {
  const path = mkdtempSync(join(tmpdir(), "fluo-kms-"));
  onTestFinished(() => rmSync(path, { recursive: true }));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(path, name), content);
  return path;
}

/** As on a Node without a defect, whichever there is for this platform: its warning would be one more. */
export function launchedWith(env: Env): Launch {
  return { ...launchOf(env), misreadsNames: false };
}

/** A configuration, with what it warns of as text. */
export interface LoadedConfig extends Omit<Config, "warnings" | "faults"> {
  warnings: string[];
  faults: string[];
}

/** `properties` is the content of application.properties. */
export function load(env: Env, properties?: string): LoadedConfig {
  const cwd = directory(properties === undefined ? {} : { "application.properties": properties });
  return withTexts(loadConfig({ env, cwd, launch: launchedWith(env) }));
}

export function withTexts(config: Config): LoadedConfig {
  return { ...config, warnings: textsOf(config.warnings), faults: textsOf(config.faults) };
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
