/** A process that has a batch entered and prints how many spans it had; then there is nothing left to do. */
import { createBatchPool } from "../../src/batch/pool/pool.ts";

const about = { tenant: "acme", requestId: "", signedAtMs: 0 };
const { spans } = await createBatchPool({ threads: 1 }).enter(new Uint8Array(), about);
console.log(spans);
