/**
 * AWS KMS of one region on 127.0.0.1, for the real SDK: AWS JSON 1.1 over plain HTTP, real cryptography, the refusals of AWS's own pages
 * (aws-kms-operations.ts), and faults that can be switched while it runs. It proves only what those pages say.
 *
 * `fault` changes the weather until `heal`; `once` changes one answer. Counts go on through both.
 */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { realTime, type Time } from "../../src/runtime/time.ts";
import { type AwsKmsAnswer, type AwsKmsFaults, answerOf, healthy } from "./aws-kms-faults.ts";
import { type FakeKey, type FakeKeyOptions, fakeKey } from "./aws-kms-keys.ts";
import { createLiar } from "./aws-kms-lies.ts";
import { startFakeServer } from "./fake-server.ts";
import { AwsError, type AwsRequest, contextOf, operations, type Region } from "./aws-kms-operations.ts";

export type { AwsKmsAnswer, AwsKmsFaults } from "./aws-kms-faults.ts";
export type { FakeKey } from "./aws-kms-keys.ts";

export interface LoggedRequest extends AwsRequest {
  /** What was answered: 200, an error's name, or what was done instead. */
  outcome: string;
}

export interface AwsKmsFake {
  readonly region: string;
  readonly url: string;
  readonly port: number;
  createKey(options?: FakeKeyOptions): FakeKey;
  /** Points `alias/name` at a key, also when it points at another already. */
  alias(name: string, key: FakeKey): void;
  /** Refuses, as a policy does, what this is true for. The last one counts. */
  deny(denies: Region["denies"]): void;
  /** Requests by operation, answered or not. */
  readonly calls: Readonly<Record<string, number>>;
  /** Decrypt requests without KeyId, which AWS allows and we must never send. */
  readonly decryptsWithoutKeyId: number;
  readonly log: readonly LoggedRequest[];
  readonly inFlight: number;
  readonly mostInFlight: number;
  /** Open connections now. */
  readonly connections: number;
  /** Resolves when `done` is true of this fake, which it looks at whenever a request or connection comes or goes. */
  until(done: () => boolean): Promise<void>;
  fault(faults: AwsKmsFaults): Promise<void>;
  heal(): Promise<void>;
  /** The next request (of this operation) that no earlier `once` takes is answered so. */
  once(answer: AwsKmsAnswer, operation?: string): void;
  close(): Promise<void>;
}

export interface AwsKmsOptions {
  region: string;
  port?: number;
  /** What its `Date` header shows, and its latency takes: that of this machine unless another is given. */
  time?: Pick<Time, "now" | "sleep">;
}

export async function startAwsKms({ region, port = 0, time = realTime }: AwsKmsOptions): Promise<AwsKmsFake> {
  const state: Region = { region, keys: new Map(), aliases: new Map(), denies: () => false, ignoresContext: false };
  const calls: Record<string, number> = {};
  const log: LoggedRequest[] = [];
  const oneOffs: { answer: AwsKmsAnswer; operation: string | undefined }[] = [];
  const liar = createLiar();
  let faults = healthy;
  let decryptsWithoutKeyId = 0;
  let throttleDebt = 0;

  const http = await startFakeServer({ server: createServer({ keepAliveTimeout: 0 }), serve, port });

  async function fault(changes: AwsKmsFaults): Promise<void> {
    faults = { ...faults, ...changes };
    state.ignoresContext = faults.ignoresContext;
    await (faults.mode === "refused" ? http.shut() : http.open());
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>));
    const operation = String(request.headers["x-amz-target"]).replace(/^TrentService\./, "");
    const input = JSON.parse(body.toString()) as Record<string, unknown>;
    calls[operation] = (calls[operation] ?? 0) + 1;
    if (operation === "Decrypt" && input.KeyId === undefined) decryptsWithoutKeyId += 1;
    const entry: LoggedRequest = {
      operation,
      keyId: input.KeyId as string | undefined,
      context: (input.EncryptionContext ?? {}) as LoggedRequest["context"],
      outcome: "nothing",
    };
    log.push(entry);
    http.changed();
    const { mode, latencyMs } = faults;
    if (latencyMs > 0) await time.sleep(latencyMs);
    const special = mode === "none" ? takeOneOff(operation) : answerOf(mode);
    if (special === "silence") return;
    if (special === "reset") return void request.socket.resetAndDestroy();
    entry.outcome = answer(response, special, () => {
      checkSignature(request, region);
      if (isThrottled()) throw new AwsError("ThrottlingException", "Rate exceeded");
      const known = Object.hasOwn(operations, operation) ? operations[operation] : undefined;
      if (known === undefined) throw new AwsError("UnknownOperationException", "");
      contextOf(input);
      return liar.answer(faults.lie, operation, input, () => known(state, input));
    });
  }

  function takeOneOff(operation: string): AwsKmsAnswer | undefined {
    const at = oneOffs.findIndex((one) => one.operation === undefined || one.operation === operation);
    return at < 0 ? undefined : oneOffs.splice(at, 1)[0]!.answer;
  }

  /** Evenly: of ten requests at 0.3, the 4th, 7th and 10th. */
  function isThrottled(): boolean {
    throttleDebt += faults.throttled;
    if (throttleDebt < 1 - 1e-9) return false;
    throttleDebt -= 1;
    return true;
  }

  /** Sends the answer and says what it was. */
  function answer(
    response: ServerResponse,
    special: AwsKmsAnswer | undefined,
    right: () => Record<string, unknown>,
  ): string {
    response.setHeader("Date", new Date(time.now().getTime() + faults.dateOffsetMs).toUTCString());
    response.setHeader("x-amzn-RequestId", crypto.randomUUID());
    try {
      if (typeof special === "object" && "error" in special) {
        throw new AwsError(special.error, special.message ?? "", special.status);
      }
      if (typeof special === "object" && "body" in special) {
        const { status = 200, contentType = "application/x-amz-json-1.1", body } = special;
        response.writeHead(status, { "Content-Type": contentType }).end(body);
        return `${status} as told`;
      }
      const answered = typeof special === "object" ? special.change(right()) : right();
      const text = Buffer.from(JSON.stringify(answered));
      response.writeHead(200, { "Content-Type": "application/x-amz-json-1.1", "Content-Length": text.length });
      if (special === "stalled") {
        response.write(text.subarray(0, text.length / 2));
        return "stalled";
      }
      response.end(text);
      return "200";
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      response.writeHead(error.status, { "Content-Type": "application/x-amz-json-1.1" });
      response.end(JSON.stringify({ __type: error.name, ...(error.message && { message: error.message }) }));
      return error.name;
    }
  }

  return {
    region,
    port: http.port,
    url: `http://127.0.0.1:${http.port}`,
    calls,
    log,
    createKey(options = {}) {
      const key = fakeKey(region, options);
      state.keys.set(key.id, key);
      return key;
    },
    alias: (name, key) => void state.aliases.set(name, key),
    deny(denies) {
      state.denies = denies;
    },
    get decryptsWithoutKeyId() {
      return decryptsWithoutKeyId;
    },
    get inFlight() {
      return http.inFlight;
    },
    get mostInFlight() {
      return http.mostInFlight;
    },
    get connections() {
      return http.connections;
    },
    until: http.until,
    fault,
    async heal() {
      throttleDebt = 0;
      oneOffs.length = 0;
      await fault(healthy);
    },
    once: (given, operation) => void oneOffs.push({ answer: given, operation }),
    close: http.shut,
  };
}

/**
 * Present and for this region and service, not verified: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
 * and docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html
 */
function checkSignature({ headers }: IncomingMessage, region: string): void {
  const { authorization, "x-amz-date": date } = headers;
  if (authorization === undefined)
    throw new AwsError("MissingAuthenticationTokenException", "Missing Authentication Token");
  const scope = new RegExp(
    `^AWS4-HMAC-SHA256 Credential=[^/ ]+/\\d{8}/${region}/kms/aws4_request, SignedHeaders=[a-z0-9;-]+, Signature=[0-9a-f]{64}$`,
  );
  if (!scope.test(authorization) || !/^\d{8}T\d{6}Z$/.test(String(date))) {
    throw new AwsError(
      "InvalidSignatureException",
      `Credential should be scoped to a valid region, not '${authorization}'.`,
    );
  }
}
