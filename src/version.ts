/** The service's name and its version, from package.json. */
import packageJson from "fluo-kms/package.json" with { type: "json" };

/** Whom the audit trail names when nobody called: the service did it by itself. */
export const serviceName = "fluo-kms";

export const version: string = packageJson.version;
