/**
 * `node scripts/failing-kms.ts`: an AWS KMS that says no, as AWS would and local-kms cannot, to see what the service makes of it. It is
 * the fake of the tests, with one key, alias/fluo-kms.
 */
import { parseArgs } from "node:util";
import { startAwsKms } from "../test/fakes/aws-kms.ts";
import { AwsError } from "../test/fakes/aws-kms-operations.ts";

const { values } = parseArgs({
  options: {
    region: { type: "string", default: "eu-central-1" },
    port: { type: "string", default: "4601" },
    /** Operations that are denied, as by a policy. */
    deny: { type: "string", default: "" },
    /** Every operation, or those of --on, is answered with this error. */
    error: { type: "string" },
    message: { type: "string", default: "" },
    on: { type: "string" },
    /** Seconds that its clock is ahead. */
    ahead: { type: "string", default: "0" },
  },
});

const denied = values.deny.split(",");
const failing = values.on?.split(",");
const kms = await startAwsKms({ region: values.region, port: Number(values.port) });
const key = kms.createKey();
kms.alias("alias/fluo-kms", key);
key.rotationDays = 365;
await kms.fault({ dateOffsetMs: Number(values.ahead) * 1_000 });
kms.deny(({ operation }) => {
  if (values.error !== undefined && (failing?.includes(operation) ?? true)) {
    throw new AwsError(values.error, values.message);
  }
  return denied.includes(operation);
});
console.log(`alias/fluo-kms of ${values.region} at ${kms.url}`);
