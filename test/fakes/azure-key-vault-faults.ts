/** What can be wrong with the fake Key Vault and its authority. */

/** What is wrong until it is healed. Members that are not given stay as they are. */
export interface AzureFaults {
  /** `refused`: the listener and its connections are closed, the port is kept for `heal`. `hanging`: nothing is answered. */
  mode?: "none" | "refused" | "hanging" | "resetting" | "500";
  /** Before each answer. */
  latencyMs?: number;
  /** How far the Date header is from this machine's clock. */
  dateOffsetMs?: number;
  /** The vault wraps with a version that is disabled, as it was reported to: github.com/Azure/azure-sdk-for-python/issues/45342 */
  wrapsWhileDisabled?: boolean;
  /** No token is taken, however it came about. */
  takesNoToken?: boolean;
  /** For how long tokens are good. */
  tokenSeconds?: number;
}

/** One answer that is not what it should be. */
export type AzureFault =
  /** An error of the vault: `{error: {code, message, innererror: {code}}}`. */
  | {
      code: string;
      inner?: string;
      message?: string;
      status: number;
      headers?: Record<string, string>;
      spelt?: "innerError";
    }
  /** This body, as it stands: HTML, `{}`, broken JSON. */
  | { body: string; status?: number; contentType?: string; headers?: Record<string, string> }
  /** The right answer with other members; `undefined` drops one. */
  | { change: (answer: Record<string, unknown>) => Record<string, unknown> }
  /** The head of the right answer and half of its body, and then nothing. */
  | "stalled"
  /** The head of the right answer and half of its body, and then the connection is closed. */
  | "truncated"
  /** The connection is reset. */
  | "reset"
  /** No answer ever. */
  | "silence";

export const healthy: Required<AzureFaults> = {
  mode: "none",
  latencyMs: 0,
  dateOffsetMs: 0,
  wrapsWhileDisabled: false,
  takesNoToken: false,
  tokenSeconds: 3_599,
};

/** What every request gets in a mode. */
export function faultOf(mode: "refused" | "hanging" | "resetting" | "500"): AzureFault {
  if (mode === "hanging") return "silence";
  if (mode === "500") return { code: "InternalServerError", status: 500 };
  return "reset";
}
