/** A row of the paths: what is measured, and against what. */
import type { Take } from "../slice.ts";

export interface Row {
  /** For `--only`. */
  name: string;
  title: string;
  unit: "µs" | "ms" | "MiB";
  subject: Take;
  limits: Limit[];
  /** In the unit. */
  atMost?: number;
}

export interface Limit {
  title: string;
  /** Their sum is the limit. */
  takes: Take[];
  /** The subject, over the limit. */
  atMost?: number;
}

/** What is ready to be measured. */
export interface Rows {
  rows: Row[];
  stop(): Promise<void>;
}
