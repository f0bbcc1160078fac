/**
 * `npm run test:client-versions`: each client under the lowest and the newest version of its language that the package claims, as far as
 * this machine has them or their registries give them: by its conformance program, in the scenarios. Python runs with the lowest versions
 * of its dependencies as well. A version that cannot be had is `NOT RUN`, by its name, and no failure. Words choose languages. The last
 * line is `N passed, N failed`.
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { type LanguageName, languages, root } from "../clients/conformance/programs.ts";
import { usePackageCaches } from "./tools/cache.ts";
import { clientBuilds } from "./tools/client-builds.ts";
import { type ClientVersion, versionsOf } from "./tools/client-versions.ts";
import { notRun } from "./tools/not-run.ts";

process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  const unknown = words.find((word) => languages.every(({ name }) => name !== word));
  if (unknown !== undefined) {
    process.stderr.write(`FAILED: ${unknown} is none of ${languages.map(({ name }) => name).join(", ")}\n`);
    return 2;
  }
  usePackageCaches();
  const sum = { passed: 0, failed: 0 };
  for (const { name } of languages.filter((language) => words.length === 0 || words.includes(language.name))) {
    try {
      await clientBuilds[name]();
    } catch (error) {
      sum.failed += notRun(`clients/${name}`, (error as Error).message);
      continue;
    }
    for (const version of versionsOf(name)) {
      const { passed, failed } = await runUnder(name, version);
      sum.passed += passed;
      sum.failed += failed;
    }
  }
  if (sum.passed === 0) sum.failed = Math.max(sum.failed, 1);
  process.stdout.write(`${sum.passed} passed, ${sum.failed} failed\n`);
  return sum.failed === 0 ? 0 : 1;
}

async function runUnder(language: LanguageName, { title, provide }: ClientVersion) {
  let runtime: string;
  try {
    runtime = await provide();
  } catch (error) {
    notRun(`clients/${language}, ${title}`, (error as Error).message, false);
    return { passed: 0, failed: 0 };
  }
  const isWhole = languages.some(({ name, isWhole }) => name === language && isWhole);
  const specs = ["scenarios", ...(isWhole ? ["fake", "flush"] : [])];
  const { status, stdout } = spawnSync(
    "vitest",
    [
      ...["run", "--config", join("clients", "conformance", "vitest.config.ts")],
      ...specs.map((spec) => `clients/conformance/${spec}.spec.ts`),
    ],
    {
      cwd: root,
      env: { ...process.env, CONFORMANCE_LANGUAGES: language, CONFORMANCE_RUNTIME: runtime },
      stdio: ["ignore", "pipe", "inherit"],
      encoding: "utf8",
      maxBuffer: 2 ** 28,
    },
  );
  const [, right = "0", wrong = "1"] = /^(\d+) passed, (\d+) failed/m.exec(stdout) ?? [];
  const [passed, failed] = [Number(right), status === 0 ? Number(wrong) : Math.max(Number(wrong), 1)];
  process.stdout.write(`${title}: ${passed} right, ${failed} wrong\n`);
  if (failed > 0) process.stdout.write(`FAILED: ${title}\n${stdout.slice(-8_000)}\n`);
  return { passed, failed };
}
