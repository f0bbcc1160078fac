/**
 * The SDK's client for one region, kept to what this service wants of it: no retries of its own (they share a quota among all calls, and
 * the resilience layer has its own), no timeouts but the caller's signal, which ends a call wherever it is, also in a body that stalls or
 * in the search for credentials. It corrects its signing date by the Date of AWS's answers, so a wrong clock shows in `clockSkewMs` alone.
 */
import { pipeline, Readable, Transform } from "node:stream";
import {
  DecryptCommand,
  type DecryptCommandInput,
  type DecryptCommandOutput,
  DescribeKeyCommand,
  EncryptCommand,
  type EncryptCommandInput,
  type EncryptCommandOutput,
  GenerateDataKeyCommand,
  type GenerateDataKeyCommandInput,
  type GenerateDataKeyCommandOutput,
  GetKeyRotationStatusCommand,
  type GetKeyRotationStatusCommandOutput,
  KMSClient,
  type KeyMetadata,
} from "@aws-sdk/client-kms";
import type { AwsCall } from "./advice.ts";
import { awsError, noRegion } from "./errors.ts";
import { abandonOn, refuseAborted } from "../../runtime/deadline.ts";
import type { Time } from "../../runtime/time.ts";
import { abandonable } from "../sdk-call.ts";
import type { Provider } from "../provider.ts";
import { type TrackedCredential, trackedCredential } from "../tracked-credential.ts";

export interface AwsClientSettings {
  region: string | undefined;
  endpoint: string | undefined;
  profile: string | undefined;
}

/** Each call throws a KmsError and nothing else. What it resolves with is AWS's word, unchecked. */
export interface AwsClient {
  /** Throws INVALID_ARGUMENT that names `aws.kms.region` where none can be found. */
  region(signal?: AbortSignal): Promise<string>;
  describeKey(key: string, signal?: AbortSignal): Promise<KeyMetadata | undefined>;
  rotationStatus(key: string, signal?: AbortSignal): Promise<GetKeyRotationStatusCommandOutput>;
  generateDataKey(input: GenerateDataKeyCommandInput, signal?: AbortSignal): Promise<GenerateDataKeyCommandOutput>;
  encrypt(input: EncryptCommandInput, signal?: AbortSignal): Promise<EncryptCommandOutput>;
  decrypt(input: DecryptCommandInput, signal?: AbortSignal): Promise<DecryptCommandOutput>;
  /** This machine's clock minus AWS's, by its last answer, good or not; undefined before the first. */
  clockSkewMs(): number | undefined;
  /** The credential of the last request that was answered. */
  credential: NonNullable<Provider["credential"]>;
  close(): void;
}

/** More than the resilience layer has in flight, so that none waits for a socket. */
const maxSockets = 32;
/** A wrapped key, in base64, is 8 KiB of it. */
const maxAnswerBytes = 1 << 16;

export function awsClient({ region, endpoint, profile }: AwsClientSettings, time: Time): AwsClient {
  const client = new KMSClient({
    ...(region !== undefined && { region }),
    ...(endpoint !== undefined && { endpoint }),
    ...(profile !== undefined && { profile }),
    ignoreConfiguredEndpointUrls: true, // AWS_ENDPOINT_URL and the profile's: the configuration has not seen whether they are https
    maxAttempts: 1,
    requestHandler: { httpAgent: { keepAlive: true, maxSockets }, httpsAgent: { keepAlive: true, maxSockets } },
  });
  let clockSkewMs: number | undefined;
  let hasAnswered = false;
  const seen = trackedCredential(time);

  // Between the socket and the deserializer, which throws what AWS refuses.
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      const response = result.response as { headers?: Record<string, string>; body?: unknown };
      if (response.body instanceof Readable) response.body = bounded(response.body);
      const { headers = {} } = response;
      const date = Date.parse(headers.date ?? "");
      if (!Number.isNaN(date)) clockSkewMs = time.now().getTime() - date;
      hasAnswered = true;
      noteCredential(client, seen);
      return result;
    },
    { step: "deserialize", priority: "low", name: "answerDate" },
  );

  async function call<Answer extends object>(
    about: Omit<AwsCall, "region">,
    send: (options: { abortSignal?: AbortSignal }) => Promise<Answer>,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    try {
      return await abandonable(send, signal, overwrite);
    } catch (error) {
      refuseAborted(signal);
      throw awsError(error, { ...about, region: await client.config.region() }, hasAnswered);
    }
  }

  return {
    async region(signal) {
      try {
        return await abandonOn(signal, client.config.region());
      } catch (error) {
        refuseAborted(signal);
        throw noRegion(error);
      }
    },
    async describeKey(key, signal) {
      const command = new DescribeKeyCommand({ KeyId: key });
      const about = { action: "DescribeKey", key } as const;
      return (await call(about, (options) => client.send(command, options), signal)).KeyMetadata;
    },
    rotationStatus(key, signal) {
      const command = new GetKeyRotationStatusCommand({ KeyId: key });
      return call({ action: "GetKeyRotationStatus", key }, (options) => client.send(command, options), signal);
    },
    generateDataKey(input, signal) {
      const command = new GenerateDataKeyCommand(input);
      return call({ action: "GenerateDataKey", key: input.KeyId! }, (options) => client.send(command, options), signal);
    },
    encrypt(input, signal) {
      const command = new EncryptCommand(input);
      return call({ action: "Encrypt", key: input.KeyId! }, (options) => client.send(command, options), signal);
    },
    decrypt(input, signal) {
      const command = new DecryptCommand(input);
      return call({ action: "Decrypt", key: input.KeyId! }, (options) => client.send(command, options), signal);
    },
    clockSkewMs: () => clockSkewMs,
    credential: seen.current,
    close: () => client.destroy(),
  };
}

/** Notes the credential that the SDK just signed with. It keeps that, so nobody is asked for it. */
function noteCredential({ config }: KMSClient, seen: TrackedCredential): void {
  config.credentials().then(
    ({ expiration }) => seen.note(expiration?.getTime()),
    () => {}, // the next request meets it
  );
}

/** Breaks off an answer that is too long, where the SDK would gather whatever comes. */
function bounded(body: Readable): Readable {
  let bytes = 0;
  const counted = new Transform({
    transform(chunk: Uint8Array, _encoding, done) {
      bytes += chunk.length;
      if (bytes > maxAnswerBytes) done(new Error(`the answer is longer than ${maxAnswerBytes} bytes`));
      else done(null, chunk);
    },
  });
  return pipeline(body, counted, () => {}); // whoever reads it is told of errors
}

function overwrite(answer: unknown): void {
  const { Plaintext } = Object(answer) as { Plaintext?: unknown };
  if (Plaintext instanceof Uint8Array) Plaintext.fill(0);
}
