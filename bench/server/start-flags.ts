/** What `npm start` tells Node about the service's memory: it is measured as it runs. */
import manifest from "../../package.json" with { type: "json" };

export const startFlags: readonly string[] = manifest.scripts.start.split(" ").filter((word) => word.startsWith("--"));
