/** One call of the SDK at a time: what was answered, which the SDK keeps little of, and what a failure means. */
import { KmsError } from "../../errors.ts";
import { refuseAborted } from "../../runtime/deadline.ts";
import { abandonable } from "../sdk-call.ts";
import { type AzureAnswer, type AzureCall, azureError, credentialsRefused, saysMissing } from "./errors.ts";
import type { AzureTokens } from "./tokens.ts";

/** What the SDK takes of ours in each call. */
export interface CallOptions {
  abortSignal?: AbortSignal;
  onResponse(raw: { status: number; headers: { get(name: string): string | undefined }; parsedBody?: unknown }): void;
}

export type Send<Value> = (options: CallOptions) => Promise<Value>;

type About = Omit<AzureCall, "keyId">;

/** `body` is the answer as it came. */
interface Answered<Value> {
  value: Value;
  body: unknown;
}

export interface AzureCalls {
  /** Throws a KmsError and nothing else. */
  call<Value>(about: About, send: Send<Value>, signal: AbortSignal | undefined): Promise<Answered<Value>>;
  /** Undefined where the version, or the whole key, is missing. */
  callVersion<Value>(
    about: About,
    send: Send<Value>,
    signal: AbortSignal | undefined,
  ): Promise<Answered<Value> | undefined>;
}

interface Exchanged<Value> {
  value?: Value;
  failure?: unknown;
  /** The last answer there was, as it came. */
  answer: AzureAnswer | undefined;
  /** Generation of the tokens that the call could have. */
  generation: number;
}

export function azureCalls(keyId: string, tokens: AzureTokens): AzureCalls {
  async function exchange<Value>(send: Send<Value>, signal: AbortSignal | undefined): Promise<Exchanged<Value>> {
    const generation = tokens.generation();
    let answer: AzureAnswer | undefined;
    const onResponse: CallOptions["onResponse"] = ({ status, headers, parsedBody: body }) => {
      answer = { status, retryAfter: headers.get("retry-after"), body };
    };
    try {
      const value = await abandonable((abort) => send({ ...abort, onResponse }), signal, overwrite);
      tokens.accepted();
      return { value, answer, generation };
    } catch (failure) {
      refuseAborted(signal);
      return { failure: failure ?? new Error("nothing"), answer, generation };
    }
  }

  function meaning(about: About, { failure, answer, generation }: Exchanged<unknown>): KmsError {
    if (answer?.status === 401 && !(failure instanceof KmsError)) {
      return credentialsRefused(answer, tokens.refused(generation));
    }
    return azureError(failure, { keyId, ...about }, answer);
  }

  return {
    async call(about, send, signal) {
      const exchanged = await exchange(send, signal);
      const { value, failure, answer } = exchanged;
      if (failure !== undefined) throw meaning(about, exchanged);
      return { value: value!, body: answer?.body };
    },
    async callVersion(about, send, signal) {
      const exchanged = await exchange(send, signal);
      const { value, failure, answer } = exchanged;
      if (failure === undefined) return { value: value!, body: answer?.body };
      if (answer !== undefined && saysMissing(answer)) return undefined;
      throw meaning(about, exchanged);
    },
  };
}

function overwrite(value: unknown): void {
  const { result } = Object(value) as { result?: unknown };
  if (result instanceof Uint8Array) result.fill(0);
}
