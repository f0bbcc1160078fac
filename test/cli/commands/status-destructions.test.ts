/** What `status` prints of keys that wait for their destruction. */
import { expect, it } from "vitest";
import { answering, run } from "../../support/cli-fixture.ts";

const first = {
  tenant_id: "acme",
  key_id: "aa".repeat(16),
  destroy_at: "2026-12-01T00:00:00.000Z",
  unwitnessed_seconds: 3_601,
  why: "its time has not come",
};
const clock = { second_clock: "PostgreSQL", clock_ahead_seconds: -2 };

async function printed(destructions_waiting: object): Promise<string> {
  const { address } = await answering(200, { status: "operational", destructions_waiting });
  return (await run(["status", "--address", address])).out;
}

it("names them, and the clock that counts beside the service's", async () => {
  const out = await printed({ ...clock, total: 12, first: [first, { ...first, unwitnessed_seconds: null }] });
  expect(out).toMatch(/^destructions +12 scheduled; the clock: -2 s ahead of PostgreSQL$/m);
  const key = `key ${first.key_id} of acme at ${first.destroy_at}`;
  expect(out).toMatch(new RegExp(`^ +${key}, 2 h to be witnessed: its time has not come$`, "m"));
  expect(out).toMatch(new RegExp(`^ +${key}: its time has not come$`, "m"));
});

it("says that downtime never counts without a second clock", async () => {
  const out = await printed({ second_clock: null, clock_ahead_seconds: null, total: 1, first: [first] });
  expect(out).toMatch(/^destructions +1 scheduled; the clock: no second one, so that downtime never counts$/m);
});

it("says nothing of them where none waits", async () => {
  expect(await printed({ ...clock, total: 0, first: [] })).not.toContain("destructions");
});
