/** A fake of AWS KMS that may lie, for services in this process, in time that the test moves. */
import type { Time } from "../../src/runtime/time.ts";
import { type AwsKmsFake, startAwsKms } from "../fakes/aws-kms.ts";

/** From the last probe until a lie is found, at most. */
export const hourAtMostMs = 65.5 * 60_000;
/** Calls. */
export const wholeProbe = 7;

export interface Liar {
  fake: AwsKmsFake;
  /** Of a service whose provider it is. */
  properties: Record<string, string>;
  /** Calls of probes so far. */
  probeCalls(): number;
}

export async function startLiar(time: Time): Promise<Liar> {
  const fake = await startAwsKms({ region: "us-east-1", time });
  const properties = {
    "fluo.kms.provider": "aws",
    "fluo.kms.store": "memory",
    "aws.kms.region": fake.region,
    "aws.kms.endpoint": fake.url,
    "aws.kms.master-key-id": fake.createKey().arn,
  };
  const isProbe = ({ context }: AwsKmsFake["log"][number]) => context.tenant_id === "fluo-kms-probe";
  return { fake, properties, probeCalls: () => fake.log.filter(isProbe).length };
}
