/** Results of a run of Vitest, as `TEST_RESULTS` has them written. */

export interface RunResult {
  /** Path of Vitest's configuration. */
  config: string | undefined;
  /** Seed of the order of files. */
  seed: number;
  /** Stacks of errors that belong to no test. */
  errors: readonly string[];
  /** In the order in which they began. */
  files: readonly FileResult[];
}

export interface FileResult {
  /** Absolute path. */
  file: string;
  /** Name of Vitest's project; empty if there is only one. */
  project: string;
  /** Process id of the worker. Files of one worker shared it if the project does not isolate them. */
  worker: number | undefined;
  /** Processor time of the worker and of the processes that it awaited, in milliseconds. */
  cpuMs: number | undefined;
  /** Wall-clock time, in milliseconds. */
  ms: number;
  failed: readonly { name: string; why: string }[];
}
