/** A flood of refusals fills no store, and hides nobody else's. */
import { expect, it } from "vitest";
import { madeUpKey, refusalFlood } from "../support/refusal-flood.ts";

it("leaves of 60,000 refusals with made-up names a few rows, and those of another caller by name", async () => {
  const { rows } = await refusalFlood(60_000);
  const told = rows.map(({ count, detail, distinct_names, ...row }) => Object.values(row).join(" "));
  expect(told.filter((row) => row.startsWith("ann"))).toEqual([
    `ann encrypt_pii tenant-${0xacce55}  PERMISSION_DENIED`,
    `ann disable acme ${madeUpKey(0xacce55)} NOT_FOUND`,
    `ann decrypt_data_key acme ${madeUpKey(0xacce55)} CIPHERTEXT_REJECTED`,
  ]);
  expect(rows.length).toBeLessThan(1_000); // 57 in a minute, and at most so many in each that a slow machine takes
  expect(rows.reduce((sum, { count }) => sum + Number(count), 0)).toBe(60_003);
});
