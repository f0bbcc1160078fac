/** Tests that ask a provider: for how long, and which are tried at all. */
import { expect, it } from "vitest";
import { KmsError } from "../../../../src/errors.ts";
import { cancelled } from "../../../../src/runtime/deadline.ts";
import { createProbe } from "../../../../src/service/kms/validate/probe.ts";
import { realTime } from "../../../../src/runtime/time.ts";

const untilAborted = (signal: AbortSignal) =>
  new Promise<never>((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(cancelled(signal)));
  });

it("gives up on a provider after a while, and asks no more of it", async () => {
  const probe = createProbe({ time: realTime, signal: new AbortController().signal, answerWithinMs: 5 });
  let asked = 0;
  await probe.ask("first", [], (_, signal) => untilAborted(signal));
  await probe.ask("second", [], () => {
    asked += 1;
  });
  await probe.test("without a provider", [], () => {});
  expect(asked).toBe(0);
  expect(probe.tests.map(({ message }) => message)).toEqual([
    "DEADLINE_EXCEEDED: the provider gave no answer within 0.005 s",
    "not tried: first failed",
    "",
  ]);
  expect(probe.advice).toEqual([expect.stringContaining("The provider gives no answer")]);
});

it("asks on where a provider says no", async () => {
  const probe = createProbe({ time: realTime, signal: new AbortController().signal });
  await probe.ask("first", [], () => {
    throw new KmsError("PROVIDER_DENIED", "no", { advice: "Ask for leave." });
  });
  const second = await probe.ask("second", [], () => 2);
  const third = await probe.ask("third", [second], ([two]) => two + 1);
  expect([second, third]).toEqual([
    { ok: true, value: 2 },
    { ok: true, value: 3 },
  ]);
  expect(probe.advice).toEqual(["Ask for leave."]);
});
