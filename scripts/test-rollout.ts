/**
 * `npm run test:rollout`: callers of Connect and JSON, and replicas that are replaced one by one, by the numbers of the Helm chart. `-- --short` has
 * one rollout at a tenth of the times. The last line is `N passed, N failed`.
 */
import { runSpecs } from "./tools/spec-suite.ts";

process.exitCode = await runSpecs("rollout", { rollout: [] }, process.argv.slice(2));
