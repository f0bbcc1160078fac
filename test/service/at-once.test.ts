/** How many reading calls run at once: the next is refused before any work, and there is room again once one has ended. */
import { expect, it } from "vitest";
import { atOnce, bounded } from "../../src/service/at-once.ts";
import { thrownBy } from "../support/matchers.ts";

const call = undefined as never;
type Work = (request: unknown, call: never) => unknown;

function waiting() {
  const begun: PromiseWithResolvers<string>[] = [];
  const begin: Work = () => {
    const work = Promise.withResolvers<string>();
    begun.push(work);
    return work.promise;
  };
  return { begun, begin };
}

it("refuses what is one too many before any work, and lets one more in when one has ended, well or not", async () => {
  const { begun, begin } = waiting();
  const { listKeys } = bounded({ listKeys: begin });
  const answers = Array.from({ length: atOnce.listKeys }, () => listKeys({}, call));
  for (let n = 0; n < 3; n += 1) {
    expect(await thrownBy(() => listKeys({}, call))).toBeKmsError("OVERLOADED", `no more than ${atOnce.listKeys}`);
  }
  expect(begun).toHaveLength(atOnce.listKeys);
  begun[0]!.resolve("page");
  expect(await answers[0]).toBe("page");
  answers.push(listKeys({}, call));
  begun[1]!.reject(new Error("gone"));
  await thrownBy(() => answers[1] as Promise<unknown>);
  answers.push(listKeys({}, call));
  expect(await thrownBy(() => listKeys({}, call))).toBeKmsError("OVERLOADED");
  for (const each of begun) each.resolve("page");
  await Promise.allSettled(answers);
});

it("counts each call by itself", async () => {
  const { begun, begin } = waiting();
  const { verifyAudit, listKeys } = bounded({ verifyAudit: begin, listKeys: begin });
  const answers = [verifyAudit({}, call), listKeys({}, call)];
  expect(await thrownBy(() => verifyAudit({}, call))).toBeKmsError("OVERLOADED", "no more than 1");
  for (const each of begun) each.resolve("");
  await Promise.all(answers);
});

it("keeps no place for what is answered or refused at once, and bounds nothing else", async () => {
  const { begun, begin } = waiting();
  const refuse: Work = () => {
    throw new TypeError("refused");
  };
  const { verifyAudit, listKeys, encryptPii } = bounded({ verifyAudit: refuse, listKeys: () => 1, encryptPii: begin });
  for (let n = 0; n < 10; n += 1) {
    expect(await thrownBy(() => verifyAudit({}, call))).toBeInstanceOf(TypeError);
    expect(listKeys()).toBe(1);
    encryptPii({}, call);
  }
  expect(begun).toHaveLength(10);
});
