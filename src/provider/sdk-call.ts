/**
 * Calls by a cloud's SDK, which may be where it does not look at a signal: in a body that stalls, or in the search for
 * credentials.
 */
import { abandonOn, refuseAborted } from "../runtime/deadline.ts";

/**
 * Rejects with `cancelled(signal)` as soon as the signal aborts. A value that comes later, and may be a secret, goes to
 * `overwrite`.
 */
export async function abandonable<Value>(
  send: (options: { abortSignal?: AbortSignal }) => Promise<Value>,
  signal: AbortSignal | undefined,
  overwrite: (late: Value) => void,
): Promise<Value> {
  if (signal === undefined) return send({});
  refuseAborted(signal);
  const sent = send({ abortSignal: signal }).then((value) => {
    if (signal.aborted) overwrite(value);
    return value;
  });
  return abandonOn(signal, sent);
}
