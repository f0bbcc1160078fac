/** What can be wrong with the fake AWS KMS. */
import type { Lie } from "../../src/provider/distrust.ts";

/** What is wrong with the service until it is healed. Members that are not given stay as they are. */
export interface AwsKmsFaults {
  /**
   * `refused`: the listener and its connections are closed, the port is kept for `heal`. `hanging`: requests are taken and never answered,
   * not even once healed. `resetting`: each request's connection is reset. `500`, `503`: each request is answered so.
   */
  mode?: "none" | "refused" | "hanging" | "resetting" | "500" | "503";
  /** This share of requests, evenly, is answered with ThrottlingException: 0 to 1. */
  throttled?: number;
  /** Before each answer. */
  latencyMs?: number;
  /** Neither binds nor checks the encryption context. */
  ignoresContext?: boolean;
  /** Answers that no honest service gives, see aws-kms-lies.ts; how the key is described stays right. */
  lie?: Lie | undefined;
  /** How far the Date header is from this machine's clock. */
  dateOffsetMs?: number;
}

/** One answer that is not what it should be. */
export type AwsKmsAnswer =
  /** An error of AWS by name: `ThrottlingException`. */
  | { error: string; message?: string; status?: number }
  /** This body, as it stands: HTML, `{}`, broken JSON. */
  | { body: string; status?: number; contentType?: string }
  /** The right answer with other members; `undefined` drops one. */
  | { change: (answer: Record<string, unknown>) => Record<string, unknown> }
  /** The head of the right answer and half of its body, and then nothing. */
  | "stalled"
  /** The connection is reset. */
  | "reset"
  /** No answer ever. */
  | "silence";

export const healthy: Required<Omit<AwsKmsFaults, "lie">> & Pick<AwsKmsFaults, "lie"> = {
  mode: "none",
  throttled: 0,
  latencyMs: 0,
  ignoresContext: false,
  lie: undefined,
  dateOffsetMs: 0,
};

/** What every request gets in a mode. */
export function answerOf(mode: "refused" | "hanging" | "resetting" | "500" | "503"): AwsKmsAnswer {
  if (mode === "hanging") return "silence";
  if (mode === "refused" || mode === "resetting") return "reset";
  return mode === "500"
    ? { error: "KMSInternalException", status: 500 }
    : { body: "<html>503 Service Unavailable</html>", status: 503, contentType: "text/html" };
}
