/** Fields of a large call are worked on in slices, and other calls between them: a thousand fields take ten milliseconds. */
import type { CallContext } from "../../call/context.ts";
import { heavyTurn } from "../../runtime/turns/loop.ts";

/** About a millisecond of work. */
export const sliceFields = 100;

/** Resolves when the call may go on with its next slice. What it had of a key may be evicted then, and is got again. */
export function nextSlice(call: CallContext): Promise<void> {
  return heavyTurn(call.connection ?? call, call);
}
