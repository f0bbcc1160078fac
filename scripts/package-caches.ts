/**
 * `node scripts/package-caches.ts`: prints, as commands of a shell, the environment in which package managers keep their downloads in the cache
 * and nothing in the home directory. The suites set it by themselves; `eval` is for what is run beside them.
 */
import { packageCaches } from "./tools/cache.ts";

for (const [name, value] of Object.entries(packageCaches()))
  console.log(`export ${name}='${value.replaceAll("'", "'\\''")}'`);
