/** Random and mutated texts to the reader of policies, by a seed; `npm run soak:fuzz-auth` has more of them. */
import { expect, it } from "vitest";
import { randomFrom } from "../../crash/random.ts";
import { readAnswer } from "../../fuzz/auth/policies.ts";
import { randomPolicyText } from "../../fuzz/auth/policy-texts.ts";

const inputs = 2_000;
const seed = 1;

it("reads random and mutated texts without a fault", () => {
  let read = 0;
  for (let at = 0; at < inputs; at += 1) {
    const text = randomPolicyText(randomFrom(seed * 1_000_003 + at));
    try {
      if (readAnswer(text) === "read") read += 1;
    } catch (error) {
      expect.fail(`seed ${seed}, input ${at}: ${JSON.stringify(text)}: ${error}`);
    }
  }
  expect(read).toBeGreaterThan(inputs / 100);
});
