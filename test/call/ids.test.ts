import { describe, expect, it } from "vitest";
import { checkKeyId, checkRequestId, checkTenantId } from "../../src/call/ids.ts";
import { thrownBy } from "../support/matchers.ts";

const ids = {
  tenant_id: {
    check: checkTenantId,
    good: ["0", "a".repeat(63), "9f1c2d6e-7a54-4b1f-9b7e-0a4c5d6e7f80", "constructor", "a.b-c_d"],
    bad: [
      ...["", "Acme", "__proto__", "a".repeat(64), "acme corp", "acme ", "acme\n", "acme\0", "acme/other", ".."],
      ...["açme", "ａｃｍｅ"],
    ],
  },
  key_id: {
    check: checkKeyId,
    good: ["0123456789abcdef".repeat(2)],
    bad: ["", "0".repeat(31), "0".repeat(33), "A".repeat(32), `${"0".repeat(32)}\n`, "g".repeat(32)],
  },
  request_id: {
    check: checkRequestId,
    good: ["", "r".repeat(128), "!~"],
    bad: ["a\u0001", "a\n", "a b", "é", "r".repeat(129)],
  },
};

describe.each(Object.entries(ids))("a %s", (field, { check, good, bad }) => {
  it.each(good)("may be %j", (id) => {
    expect(check(id)).toBe(id);
  });

  it.each(bad)("is not %j, which is not repeated", async (id) => {
    const error = await thrownBy(() => check(id));
    expect(error).toBeKmsError("INVALID_ARGUMENT", field);
    if (id.length > 2) expect((error as Error).message).not.toContain(id);
  });
});
