/** How batches go over streams: as many as a stream takes, in order, and what a stream did not answer over the next one. */
import { describe, expect, it } from "vitest";
import { type Batch, type Signing, signBatches } from "../../../src/cli/sign/batches.ts";
import type { SpanAnswer, StreamEnd, StreamEvents } from "../../../src/cli/sign/span-stream.ts";
import { Failure } from "../../../src/cli/command.ts";

const signedAnswer: SpanAnswer = { attributes: [["audit.integrity.tenant", "acme"]], leafIndex: undefined };

function batches(count: number): Batch[] {
  return Array.from({ length: count }, (_, i) => ({
    request: { tenantId: "acme", mode: "log", requestId: `run.${i}`, resourceSpans: new Uint8Array() },
    spans: 2,
  }));
}

const ended = (code: string, message = "", fields: StreamEnd["fields"] = [], reason?: string): StreamEnd => {
  return { code, message, fields, reason };
};

/** What a stream does of a batch that it was sent. */
type Script = (requestId: string, events: StreamEvents, isAnswered: () => boolean) => unknown;

/** Answers a batch whole. */
const answer = (requestId: string, events: StreamEvents) =>
  events.answered({ answers: [signedAnswer, signedAnswer], isLast: true, requestId });

/** Streams by their scripts, the last one for all others; everything that happens, in its order. */
function service(...scripts: Script[]) {
  const log: string[] = [];
  let opened = 0;
  const signing: Signing = {
    open(events) {
      const script = scripts[Math.min(opened, scripts.length - 1)]!;
      opened += 1;
      log.push(`open ${opened}`);
      let [open, isOver, isHalfClosed] = [0, false, false];
      const stream: StreamEvents = {
        ...events,
        answered(one) {
          if (one.isLast) open -= 1;
          if (!isOver) events.answered(one);
        },
        ended(end) {
          if (!isOver) events.ended(end);
          isOver = true;
        },
      };
      return {
        send({ requestId }) {
          log.push(`send ${requestId}`);
          open += 1;
          queueMicrotask(() => !isOver && script(requestId, stream, () => isHalfClosed && open === 0));
          return !requestId.endsWith("full");
        },
        end() {
          isHalfClosed = true;
        },
        cancel: () => queueMicrotask(() => stream.ended(ended("CANCELLED"))),
      };
    },
    signed: (answers, { request }) => void log.push(`signed ${request.requestId} ${answers.length}`),
    broken: (why) => void log.push(why),
    wait: async (ms) => void log.push(`wait ${ms}`),
    whyUnreachable: (reason) => `unreachable: ${reason}`,
    adviceOn: (message) => (message === "no credential" ? "give one" : undefined),
  };
  return { log, signing };
}

const always: Script = (requestId, events, isAnswered) => {
  answer(requestId, events);
  if (isAnswered()) events.ended(ended("OK"));
};

async function failureOf(promise: Promise<void>): Promise<Failure> {
  const error = await promise.then(
    () => undefined,
    (thrown) => thrown,
  );
  expect(error).toBeInstanceOf(Failure);
  return error as Failure;
}

describe("batches", () => {
  it("are on their way four at once, and are signed in their order", async () => {
    const { log, signing } = service(always);
    await signBatches(batches(6), signing);
    expect(log.slice(0, 6)).toEqual([
      "open 1",
      "send run.0",
      "send run.1",
      "send run.2",
      "send run.3",
      "signed run.0 2",
    ]);
    expect(log.filter((line) => line.startsWith("signed"))).toEqual([0, 1, 2, 3, 4, 5].map((i) => `signed run.${i} 2`));
  });

  it("wait for the stream where it takes no more", async () => {
    const taken: (() => void)[] = [];
    const { log, signing } = service((requestId, events) => {
      if (requestId === "run.0.full") taken.push(() => events.drained());
      else {
        answer("run.0.full", events);
        answer(requestId, events);
        events.ended(ended("OK"));
      }
    });
    const two = batches(2);
    two[0]!.request.requestId = "run.0.full";
    const signed = signBatches(two, signing);
    await new Promise(setImmediate);
    expect(log).toEqual(["open 1", "send run.0.full"]);
    taken[0]!();
    await signed;
    expect(log.slice(2)).toEqual(["send run.1", "signed run.0.full 2", "signed run.1 2"]);
  });

  it.each([
    ["UNAVAILABLE", "draining"],
    ["ABORTED", "others were first"],
    ["RESOURCE_EXHAUSTED", "too many"],
    ["INTERNAL", "Received RST_STREAM with code 2"],
    ["OK", ""],
  ])("that a stream which ends with %s %j did not answer go over a new one, as they were", async (code, message) => {
    const { log, signing } = service((requestId, events) => {
      if (requestId === "run.0") answer(requestId, events);
      // Half an answer is none.
      if (requestId === "run.1") events.answered({ answers: [signedAnswer], isLast: false, requestId });
      if (requestId === "run.2") events.ended(ended(code, message));
    }, always);
    await signBatches(batches(3), signing);
    const resent = log.slice(log.indexOf("open 2"));
    expect(log).toContain("wait 250");
    expect(log.find((line) => line.includes("2 batches go over a new stream in 0.25 s"))).toContain(message);
    expect(resent).toEqual(["open 2", "send run.1", "send run.2", "signed run.1 2", "signed run.2 2"]);
  });

  it("are given up after ten streams in a row that answer nothing, and waits that grow to five seconds", async () => {
    const { log, signing } = service((_, events) => events.ended(ended("UNAVAILABLE", "Connection dropped")));
    const { message, json } = await failureOf(signBatches(batches(1), signing));
    expect(message).toBe("the stream broke (UNAVAILABLE: Connection dropped); given up after 10 tries");
    expect(json).toMatchObject({ code: "UNAVAILABLE" });
    const waits = log.filter((line) => line.startsWith("wait")).map((line) => Number(line.slice(5)));
    expect(waits).toEqual([250, 500, 1000, 2000, 4000, 5000, 5000, 5000, 5000]);
  });

  it("are not given up as long as each stream answers one", async () => {
    const { log, signing } = service((requestId, events) => {
      answer(requestId, events);
      events.ended(ended("UNAVAILABLE", "draining"));
    });
    await signBatches(batches(30), signing);
    expect(log.filter((line) => line.startsWith("signed"))).toHaveLength(30);
    expect(log.filter((line) => line.startsWith("wait"))).toEqual(Array(29).fill("wait 250"));
  });

  it("are not sent again to a service that was never met", async () => {
    const { log, signing } = service((_, events) => events.ended(ended("UNAVAILABLE", "No connection established.")));
    expect((await failureOf(signBatches(batches(1), signing))).message).toBe("unreachable: No connection established.");
    expect(log).toEqual(["open 1", "send run.0"]);
  });

  it("are sent again to one that was met and is gone", async () => {
    const { signing } = service(
      (_, events) => events.ended(ended("UNAVAILABLE", "Connection dropped")),
      (_, events) => events.ended(ended("UNAVAILABLE", "No connection established. Last error: ECONNREFUSED")),
      always,
    );
    await expect(signBatches(batches(1), signing)).resolves.toBeUndefined();
  });

  it.each([
    ["INVALID_ARGUMENT", "tenant_id: must match", ["INVALID_ARGUMENT: tenant_id: must match", "mode: is another"]],
    [
      "PERMISSION_DENIED",
      "no such tenant",
      ["PERMISSION_DENIED: no such tenant", "tenant_id: must match", "mode: is another"],
    ],
    ["ALREADY_EXISTS", "request_id", ["ALREADY_EXISTS: request_id", "tenant_id: must match", "mode: is another"]],
  ])("that are refused with %s are refused with the service's words", async (code, message, lines) => {
    const fields = [
      { field: "tenant_id", description: "must match" },
      { field: "mode", description: "is another" },
    ];
    const { log, signing } = service((_, events) => events.ended(ended(code, message, fields)));
    const failure = await failureOf(signBatches(batches(1), signing));
    expect(failure.message.split("\n")).toEqual(lines);
    expect(failure.json).toEqual({ code, message, fields });
    expect(log).toEqual(["open 1", "send run.0"]);
  });
});

describe("a credential", () => {
  const expired = ended("UNAUTHENTICATED", "the token has expired", [], "CREDENTIAL_EXPIRED");

  it("that ends behind answers is shown anew over another stream", async () => {
    const { log, signing } = service((requestId, events) => {
      if (requestId === "run.0") answer(requestId, events);
      else events.ended(expired);
    }, always);
    await signBatches(batches(2), signing);
    expect(log.slice(-4)).toEqual(["wait 250", "open 2", "send run.1", "signed run.1 2"]);
  });

  it.each([
    ["that has ended", expired, "UNAUTHENTICATED: the token has expired"],
    ["that is none", ended("UNAUTHENTICATED", "no credential"), "UNAUTHENTICATED: no credential; give one"],
  ])("%s is refused at once, with what to do about it", async (_, end, message) => {
    const { log, signing } = service((_, events) => events.ended(end));
    expect((await failureOf(signBatches(batches(2), signing))).message).toBe(message);
    expect(log.filter((line) => line.startsWith("open"))).toEqual(["open 1"]);
  });
});

describe("a service that answers something else", () => {
  const plain: SpanAnswer = { attributes: [], leafIndex: 0 };

  it.each<[string, Script, RegExp]>([
    [
      "results without attributes",
      (requestId, events) => events.answered({ answers: [plain, plain], isLast: true, requestId }),
      /older than this command and does not know with_attributes/,
    ],
    [
      "a refusal of the field",
      (_, events) =>
        void events.ended(ended("INVALID_ARGUMENT", "request: field number 5 is unknown and could not be signed")),
      /older than this command; update it/,
    ],
    [
      "too few results",
      (requestId, events) => events.answered({ answers: [signedAnswer], isLast: true, requestId }),
      /something else than the batch/,
    ],
    [
      "too many results",
      (requestId, events) => events.answered({ answers: Array(3).fill(signedAnswer), isLast: false, requestId }),
      /something else than the batch/,
    ],
    ["another batch", (_, events) => answer("run.7", events), /something else than the batch/],
  ])("is told of: %s", async (_, script, message) => {
    const { signing } = service(script);
    expect((await failureOf(signBatches(batches(1), signing))).message).toMatch(message);
  });
});
