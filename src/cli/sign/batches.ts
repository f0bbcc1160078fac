/**
 * Batches signed over SignSpans in their order: several on their way at once, as many as the stream takes. Where a stream breaks, what it
 * did not answer goes over a new one, each batch with the request_id that it had: in log mode it then gets the places that it may already
 * have.
 */
import { counted } from "../../attestation/log-audit.ts";
import { Failure } from "../command.ts";
import { oneLine } from "../print.ts";
import {
  type BatchRequest,
  hadNoConnection,
  type SpanAnswer,
  type SpanStream,
  type StreamEnd,
  type StreamEvents,
  wasCut,
} from "./span-stream.ts";

export interface Batch {
  request: BatchRequest;
  spans: number;
}

export interface Signing {
  open(events: StreamEvents): SpanStream;
  /** All answers to the next batch. */
  signed(answers: readonly SpanAnswer[], batch: Batch): void;
  /** Told before each wait. */
  broken(why: string): void;
  wait(ms: number): Promise<void>;
  /** What to say of a service that was never met, and why. */
  whyUnreachable(reason: string): string;
  /** What to do about a refusal of the caller, by its words. */
  adviceOn(message: string): string | undefined;
}

const maxInFlight = 4;
/** Streams in a row that answer nothing. With these waits they take half a minute. */
const maxTries = 10;
const [firstWaitMs, maxWaitMs] = [250, 5_000];

const passing: readonly string[] = ["UNAVAILABLE", "ABORTED", "RESOURCE_EXHAUSTED"];

/** Throws a Failure with the service's words where a batch is refused, or the service stays away. */
export async function signBatches(batches: readonly Batch[], signing: Signing): Promise<void> {
  let done = 0;
  let hasConnected = false;
  for (let tries = 1; done < batches.length; tries += 1) {
    const { answered, end } = await overOneStream(batches.slice(done), signing);
    done += answered;
    if (done === batches.length) return;
    if (answered > 0) tries = 1;
    hasConnected ||= answered > 0 || !hadNoConnection(end);
    if (!hasConnected) throw unreachable(signing.whyUnreachable(end.message));
    if (!passes(end, answered)) throw refusal(end, signing.adviceOn(end.message));
    if (tries === maxTries) throw unreachable(`${brokenText(end)}; given up after ${maxTries} tries`);
    const waitMs = Math.min(firstWaitMs * 2 ** (tries - 1), maxWaitMs);
    const left = counted(batches.length - done, "batch goes", "batches go");
    signing.broken(`${brokenText(end)}; ${left} over a new stream in ${waitMs / 1000} s`);
    await signing.wait(waitMs);
  }
}

/** Resolves when the stream has ended, with how many batches it answered whole. */
function overOneStream(
  batches: readonly Batch[],
  { open, signed }: Signing,
): Promise<{ answered: number; end: StreamEnd }> {
  return new Promise((resolve, reject) => {
    let [sent, answered, isFull] = [0, 0, false];
    let answers: SpanAnswer[] = [];
    const stream = open({
      answered({ answers: more, isLast, requestId }) {
        try {
          answers.push(...more);
          checkAnswers(answers, { isLast, requestId, batch: batches[answered] });
          if (!isLast) return;
          signed(answers, batches[answered]!);
          answers = [];
          answered += 1;
        } catch (error) {
          reject(error);
          stream.cancel();
          return;
        }
        send();
      },
      drained() {
        isFull = false;
        send();
      },
      ended: (end) => resolve({ answered, end }),
    });
    const send = () => {
      for (; sent < batches.length && sent - answered < maxInFlight && !isFull; sent += 1) {
        isFull = !stream.send(batches[sent]!.request);
        if (sent === batches.length - 1) stream.end();
      }
    };
    send();
  });
}

interface Expected {
  isLast: boolean;
  requestId: string;
  batch: Batch | undefined;
}

/** An answer must be to the batch whose turn it is, and have the attributes that were asked for. */
function checkAnswers(answers: readonly SpanAnswer[], { isLast, requestId, batch }: Expected): void {
  const isOfBatch = requestId === "" || requestId === batch?.request.requestId;
  if (batch === undefined || !isOfBatch || answers.length > batch.spans || (isLast && answers.length < batch.spans))
    throw new Failure("the service answered something else than the batch that it was sent; look at its version");
  if (answers.some((answer) => "attributes" in answer && answer.attributes.length === 0))
    throw new Failure(
      "the service signs, but gives no attributes: it is older than this command and does not know with_attributes; update it",
    );
}

/** A credential that ended behind answers may have been renewed meanwhile: what is shown next is read anew. */
function passes(end: StreamEnd, answered: number): boolean {
  if (end.reason === "CREDENTIAL_EXPIRED") return answered > 0;
  return end.code === "OK" || passing.includes(end.code) || wasCut(end);
}

function brokenText({ code, message }: StreamEnd): string {
  return code === "OK"
    ? "the stream ended without an answer to every batch"
    : `the stream broke (${code}: ${oneLine(message)})`;
}

function unreachable(message: string): Failure {
  return new Failure(message, { code: "UNAVAILABLE", message, fields: [] });
}

function refusal({ code, message, fields }: StreamEnd, advice: string | undefined): Failure {
  const lines = fields.map(({ field, description }) => `${field}: ${description}`);
  const more = lines.filter((line) => !message.includes(line));
  // A service that is older refuses a field that it does not know, in these words alone. Only the advice depends on them.
  if (/field number 5 is unknown/.test(message)) more.push("the service is older than this command; update it");
  const first = advice === undefined ? `${code}: ${message}` : `${code}: ${message}; ${advice}`;
  return new Failure([first, ...more].map(oneLine).join("\n"), { code, message, fields });
}
