/**
 * Tells a bug from an accident. What failed runs three times more: in the order and on a worker as it ran, alone, and beside two loops that
 * keep the processor busy. What fails again is a bug.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type Environment, type FailedFile, failedFiles, type Outcome, run } from "./run.ts";
import { always, noBase, type Selected } from "./suites.ts";

export interface Verdict {
  /** Suite, and file and test if one is known. */
  name: string;
  /** Path of the test's file; undefined if a command failed in which no file of Vitest did. */
  file: string | undefined;
  /** True if a path of the change selected the suite. */
  isSelectedByChange: boolean;
  seed: number | undefined;
  /** Processes that waited for a processor in the minute before, by the system's reckoning. */
  load: string;
  /** Which of the three runs failed; none if it was an accident. */
  failedAgain: string[];
  /** What was said when it failed first. */
  why: string;
}

/** A change that breaks more files than this is not an accident. */
const mostFiles = 12;

/** Average of the last minute. */
export function loadNow(): string {
  try {
    return readFileSync("/proc/loadavg", "utf8").split(" ")[0]!;
  } catch {
    return "unknown";
  }
}

/** Judges each failure of `outcome`. `load` is that of the time when it failed. */
export async function judge(
  { suite, command, why }: Selected,
  outcome: Outcome,
  load: string,
  { root, work }: { root: string; work: string },
): Promise<Verdict[]> {
  const files = failedFiles(outcome);
  const isSelectedByChange = why !== always && why !== noBase;
  const known = files.reduce((count, { file }) => count + file.failed.length, 0);
  const verdicts: Verdict[] = [];
  let results = 0;
  const again = (what: string, env: Environment) =>
    run(what, root, join(work, `${suite.name}-again-${++results}`.replaceAll(" ", "-")), env);
  if (files.length > mostFiles) {
    return files.flatMap(({ run: { seed }, file }) =>
      file.failed.map(({ name, why }) => ({
        name: `${suite.name}: ${pathIn(root, file.file)} > ${name}`,
        file: file.file,
        seed,
        load,
        why,
        isSelectedByChange,
        failedAgain: [`not run again, as ${files.length} files failed`],
      })),
    );
  }
  // A suite that prepares what Vitest runs in cannot have one of its files run by itself.
  const isPlain = command === "npm test" || command === "npm run test:processes";
  if (isPlain) for (const failure of files) verdicts.push(...(await judgeFile(suite.name, failure, load, root, again)));
  if (isPlain && known >= outcome.failed) return verdicts;
  const runs = await threeTimes((env) => again(command, env), [{}, {}, {}]);
  const names = isPlain || files.length === 0 ? [undefined] : files;
  for (const failure of names) {
    verdicts.push({
      name: failure ? `${suite.name}: ${pathIn(root, failure.file.file)}` : `${suite.name}: ${command}`,
      file: failure?.file.file,
      isSelectedByChange,
      seed: failure?.run.seed,
      load,
      failedAgain: runs.filter(([, { failed }]) => failed > 0).map(([how]) => how),
      why: failure ? failure.file.failed.map(({ name, why }) => `${name}\n${why}`).join("\n") : endOf(outcome.said),
    });
  }
  return verdicts;
}

async function judgeFile(
  suite: string,
  { run: whole, file }: FailedFile,
  load: string,
  root: string,
  again: (command: string, env: Environment) => Promise<Outcome>,
): Promise<Verdict[]> {
  const sameWorker = whole.files.filter(({ worker, project }) => worker === file.worker && project === file.project);
  const before = sameWorker.slice(0, sameWorker.indexOf(file) + 1).map((each) => each.file);
  const vitest = (files: readonly string[]) =>
    `npx vitest run --config ${whole.config} --maxWorkers=1 ${files.join(" ")}`;
  const runs = await threeTimes(
    ({ TEST_ORDER: order }) => again(vitest(order!.split(" ")), { TEST_ORDER: order }),
    [before, [file.file], [file.file]].map((files) => ({ TEST_ORDER: files.join(" ") })),
  );
  return file.failed.map(({ name, why }) => ({
    name: `${suite}: ${pathIn(root, file.file)} > ${name}`,
    file: file.file,
    isSelectedByChange: false, // both tiers always run
    seed: whole.seed,
    load,
    why,
    failedAgain: runs.filter(([, outcome]) => failsIn(outcome, file.file, name)).map(([how]) => how),
  }));
}

/** True if this test failed, or its file did not run. */
function failsIn(outcome: Outcome, file: string, test: string): boolean {
  const files = outcome.runs.flatMap((each) => each.files).filter((each) => each.file === file);
  if (files.length === 0) return true;
  return files.some(({ failed }) => failed.some(({ name }) => name === test || name === "(the file itself)"));
}

async function threeTimes(
  once: (env: Environment) => Promise<Outcome>,
  [inOrder, alone, busy]: readonly Environment[],
): Promise<[how: string, outcome: Outcome][]> {
  return [
    ["in the same order", await once(inOrder!)],
    ["alone", await once(alone!)],
    ["beside two busy loops", await besideBusyLoops(() => once(busy!))],
  ];
}

async function besideBusyLoops<T>(work: () => Promise<T>): Promise<T> {
  const loops = [0, 1].map(() => spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }));
  try {
    return await work();
  } finally {
    for (const loop of loops) {
      const closed = once(loop, "close");
      loop.kill("SIGKILL");
      await closed;
    }
  }
}

function pathIn(root: string, file: string): string {
  return file.startsWith(`${root}/`) ? file.slice(root.length + 1) : file;
}

function endOf(text: string): string {
  return text.trimEnd().split("\n").slice(-40).join("\n");
}
