/** A short run of the fuzz, with what must come out of it. */
import { expect, it } from "vitest";
import { isShort } from "../../../../test/support/short-option.ts";
import { fuzz } from "./fuzz.ts";

const seed = Number(process.env.SEED ?? "7");
const inputs = Number(process.env.INPUTS ?? (isShort ? "8000" : "24000"));

it(`says what the service's own verifier says of ${inputs} inputs of seed ${seed}`, async () => {
  const came = await fuzz(inputs, seed);
  expect(Object.values(came).reduce((sum, count) => sum + count)).toBe(inputs);
  expect(Object.keys(came)).toEqual(
    expect.arrayContaining([
      ...["protobuf verified", "JSON verified", "altered protobuf verified", "altered protobuf refused"],
      ...["altered protobuf unreadable", "altered JSON verified", "altered JSON refused", "altered JSON unreadable"],
      ...["altered request verified", "altered request refused", "altered key set read", "altered key set refused"],
    ]),
  );
});
