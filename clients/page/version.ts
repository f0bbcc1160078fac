/** The page's version, which is the service's. */
import packageJson from "fluo-kms/package.json" with { type: "json" };

export const pageVersion: string = packageJson.version;
