/** How long a start takes, and what it holds in memory, with the provider local and with aws: what its SDK costs, local does not pay. */
import { startAwsKms } from "../../test/fakes/aws-kms.ts";
import { startToServing } from "../server/start.ts";
import type { Take } from "../slice.ts";
import type { Rows } from "./row.ts";

export async function starts(): Promise<Rows> {
  const aws = await startAwsKms({ region: "us-east-1" });
  const onAws = {
    FLUO_KMS_PROVIDER: "aws",
    AWS_KMS_REGION: aws.region,
    AWS_KMS_ENDPOINT: aws.url,
    AWS_KMS_MASTER_KEY_ID: aws.createKey().arn,
    AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
    AWS_SECRET_ACCESS_KEY: "secret",
  };
  const started = (figure: "ms" | "memory", settings = {}): Take => {
    return async () => ({ value: (await startToServing(settings))[figure] });
  };
  const rows: Rows["rows"] = [
    {
      name: "start",
      title: "start to serving",
      unit: "ms",
      subject: started("ms"),
      limits: [{ title: "with the provider aws", takes: [started("ms", onAws)] }],
      atMost: 1000,
    },
    {
      name: "start-memory",
      title: "memory when serving",
      unit: "MiB",
      subject: started("memory"),
      limits: [{ title: "with the provider aws", takes: [started("memory", onAws)], atMost: 1 }],
    },
  ];
  return { rows, stop: () => aws.close() };
}
