/** How long a caller waits, as the headers of its protocol say it. */
import { invalidField } from "../errors.ts";

/** What a timer of Node's can wait; longer is as good as for ever. */
export const maxTimerMs = 2 ** 31 - 1;

const unitMs: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };

/** gRPC and gRPC-Web. */
export function grpcTimeoutMs(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const [, digits, unit = ""] = /^(\d{1,8})([HMSmun])$/.exec(value) ?? [];
  if (digits === undefined) throw invalidField("grpc-timeout", "must be 1 to 8 digits and a unit of H, M, S, m, u, n");
  return Number(digits) * unitMs[unit]!;
}

export function connectTimeoutMs(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d{1,10}$/.test(value)) throw invalidField("connect-timeout-ms", "must be 1 to 10 digits");
  return Number(value);
}
