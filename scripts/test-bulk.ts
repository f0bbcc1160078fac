/**
 * `npm run test:bulk`: 64 streams, good and bad ones, with rotations; and the memory that they take. `-- NAME` runs one file, `-- --short`
 * the first case of each kind, without a judgement of memory. The last line is `N passed, N failed`.
 */
import { runSpecs } from "./tools/spec-suite.ts";

process.exitCode = await runSpecs("bulk-streams", { streams: [], memory: [] }, process.argv.slice(2));
