import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import { wordsIn } from "../../src/provider/redact.ts";

it.each([
  ["a token of Vault", `hvs.${"CAESIJ".repeat(6)}`],
  ["an older one", "s.1f2e3d4c5b6a7f8e9d0c1b2a"],
  ["an access token of Google", "ya29.c.b0Aaekm1K-hunter2_hunter2hunter2"],
  ["a JSON web token", "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrOHMifQ.c2lnbmF0dXJl"],
  ["a key in base64", randomBytes(32).toString("base64")],
])("hides %s", (_what, secret) => {
  expect(wordsIn(`request {"x":"${secret}"} refused`)).toBe('request {"x":"(hidden)"} refused');
});

it("says the rest, in one line that ends", () => {
  const words =
    "User: arn:aws:sts::111122223333:assumed-role/fluo-kms-production-role/i-0123456789abcdef0 may not kms:Decrypt arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab";
  expect(wordsIn(`${words}\nmore`)).toBe(words);
  expect(wordsIn("x".repeat(10_000))).toHaveLength(1_000);
});
