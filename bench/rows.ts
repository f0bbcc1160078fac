/** What is measured against what: design targets, one row each. */
import { KmsService } from "../gen/ts/fluo/kms/v1/kms_service_pb.ts";
import { startAwsKms } from "../test/fakes/aws-kms.ts";
import type { BareLoops } from "./bare.ts";
import { type Child, startChild, startToServing } from "./child.ts";
import { type LoadClient, loadClient } from "./load.ts";
import { fieldsPerCall, type Method, requests } from "./requests.ts";

/** Takes one sample. */
export type Slice = () => Promise<number>;

export interface Row {
  /** For `--only`. */
  name: string;
  title: string;
  unit: "µs" | "ms" | "MiB";
  subject: Slice;
  /** Their sum is the limit; without any, the target is absolute. */
  limits: Slice[];
  /** At most this many times the limit, or this many units where `absolute`. */
  target: number;
  absolute: boolean;
  rounds: number;
}

export interface Bench {
  rows: Row[];
  stop(): Promise<void>;
}

/** Long enough that each slice meets the collector's full cycles. */
const callsPerSlice: Readonly<Record<Method, number>> = { SignSpan: 8000, EncryptPii: 1000, GenerateDataKey: 8000 };
const loopsPerSlice = 20_000;
const lookupsPerSlice = 300_000;
const rounds = 11;
const starts = 5;

/** `execArgv` goes to the service's process, for its profile. */
export async function prepare(execArgv: string[]): Promise<Bench> {
  const service = await startChild({ serve: "service" }, execArgv);
  const serviceClient = loadClient(service.port);
  const servicePath = (method: Method) => `/${KmsService.typeName}/${method}`;
  const answerBytes: Record<string, number> = {};
  for (const [method, request] of Object.entries(requests)) {
    answerBytes[method] = (await serviceClient.call(servicePath(method as Method), request)).length;
  }
  const empty = await startChild({ serve: "empty", answerBytes });
  const emptyClient = loadClient(empty.port);

  const aws = await startAwsKms({ region: "us-east-1" });
  const onAws = {
    FLUO_KMS_PROVIDER: "aws",
    AWS_KMS_REGION: aws.region,
    AWS_KMS_ENDPOINT: aws.url,
    AWS_KMS_MASTER_KEY_ID: aws.createKey().arn,
    AWS_ACCESS_KEY_ID: "AKIDEXAMPLE",
    AWS_SECRET_ACCESS_KEY: "secret",
  };

  const subject = (method: Method) => calls(service, serviceClient, servicePath(method), method);
  const emptyCall = (method: Method) => calls(empty, emptyClient, `/bench/${method}`, method);
  const loop = (name: keyof BareLoops, times: number) => async () => (await service.run(name, times)) / times;
  const relative = { unit: "µs", absolute: false, rounds } as const;

  const rows: Row[] = [
    {
      ...relative,
      name: "sign-span",
      title: "SignSpan, CPU a call / empty call + signature",
      subject: subject("SignSpan"),
      limits: [emptyCall("SignSpan"), loop("signature", loopsPerSlice)],
      target: 1.35,
    },
    {
      ...relative,
      name: "encrypt-pii",
      title: `EncryptPii, CPU a field of ${fieldsPerCall} / bare seal`,
      subject: async () => (await subject("EncryptPii")()) / fieldsPerCall,
      limits: [loop("seal", loopsPerSlice)],
      target: 1.5,
    },
    {
      ...relative,
      name: "generate-data-key",
      title: "GenerateDataKey, CPU a call / empty call",
      subject: subject("GenerateDataKey"),
      limits: [emptyCall("GenerateDataKey")],
      target: 1.6,
    },
    {
      ...relative,
      name: "cached-key",
      title: "cached key / Map lookup",
      subject: loop("cachedKey", lookupsPerSlice),
      limits: [loop("mapLookup", lookupsPerSlice)],
      target: 1,
      absolute: true,
    },
    {
      name: "start",
      title: "start to serving / with the provider aws",
      unit: "ms",
      subject: async () => (await startToServing()).ms,
      limits: [async () => (await startToServing(onAws)).ms],
      target: 1000,
      absolute: true,
      rounds: starts,
    },
    {
      name: "start-memory",
      title: "memory when serving / with the provider aws",
      unit: "MiB",
      subject: async () => (await startToServing()).memory,
      limits: [async () => (await startToServing(onAws)).memory],
      target: 1,
      absolute: false,
      rounds: starts,
    },
  ];
  return {
    rows,
    async stop() {
      serviceClient.close();
      emptyClient.close();
      await Promise.all([service.stop(), empty.stop(), aws.close()]);
    },
  };
}

/** Microseconds of the server process's CPU a call. */
function calls(child: Child, client: LoadClient, path: string, method: Method): Slice {
  return async () => {
    const before = await child.cpu();
    await client.load(path, requests[method], callsPerSlice[method]);
    return ((await child.cpu()) - before) / callsPerSlice[method];
  };
}
