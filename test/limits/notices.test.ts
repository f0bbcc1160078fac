import { expect, it } from "vitest";
import { limitAdvice, limitNotices } from "../../src/limits/notices.ts";
import { closingOf } from "../../src/transport/connections/closing.ts";
import { textsOf } from "../support/notice-texts.ts";

const acted = (limit: "max" | "resets") => {
  const [, { who, by }] = closingOf(limit, "192.0.2.7", true);
  return { limit, who, by: by! };
};

it("advise to raise a setting", () => {
  expect(textsOf(limitAdvice([acted("max")]))).toEqual([
    "Raise fluo.kms.connection.max if it is too low: in the last 10 min it held back 192.0.2.7.",
  ]);
});

it("name the clients where no setting raises the limit", () => {
  expect(textsOf(limitNotices([acted("resets")]))).toEqual([
    "In the last 10 min the limit resets held back 192.0.2.7.",
  ]);
  expect(textsOf(limitAdvice([acted("resets")]))).toEqual([
    "Look at 192.0.2.7: in the last 10 min the limit resets held back their connections, and docs/KMS_TROUBLESHOOTING.md says why.",
  ]);
});
