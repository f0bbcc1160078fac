/** The command against answers of a service; with real ones in test/rewrap.test.ts. */
import { describe, expect, it } from "vitest";
import { answering, answeringInTurn, run } from "../../support/cli-fixture.ts";

const target = { provider: "aws", providerKeyId: "arn:aws:kms:eu-west-1:111122223333:key/1" };
const other = { provider: "local", providerKeyId: "local:0011223344556677" };
const keyId = "ab".repeat(16);
const key = { tenantId: "acme", purpose: "KEY_PURPOSE_DATA", keyId, version: 3 };
const failed = { key, error: { code: 9, message: "key is under vault transit/kms" } };

function bodies(received: readonly { body: string }[]): unknown[] {
  return received.map(({ body }) => JSON.parse(body));
}

describe("rewrap", () => {
  it("asks page by page until nothing remains, and says what was done", async () => {
    const { address, received } = await answeringInTurn(
      [200, { ...target, rewrapped: 100, storeKeyRewrapped: true, remaining: "101", nextPageToken: "one" }],
      [200, { ...target, rewrapped: 100, remaining: "1", nextPageToken: "two" }],
      [200, { ...target, rewrapped: 1 }],
    );
    expect(await run(["rewrap", "--address", address])).toEqual({
      code: 0,
      out: [
        "target      aws arn:aws:kms:eu-west-1:111122223333:key/1",
        "re-wrapped  201 keys and the store key",
        "failed      none",
        "remaining   none\n",
      ].join("\n"),
      err: "",
    });
    const page = (pageToken: string) => ({ pageSize: 100, pageToken, dryRun: false });
    expect(bodies(received)).toEqual([page(""), page("one"), page("two")]);
    expect(received[0]).toMatchObject({ method: "POST", url: "/fluo.kms.v1.KeyAdminService/RewrapKeys" });
  });

  it("begins again while that does something: replicas of yesterday still make keys", async () => {
    const { address, received } = await answeringInTurn(
      [200, { ...target, rewrapped: 5, remaining: "2" }],
      [200, { ...target, rewrapped: 2 }],
    );
    const { code, out } = await run(["rewrap", "--address", address]);
    expect([code, received.length]).toEqual([0, 2]);
    expect(out).toMatch(/^re-wrapped +7 keys$/m);
  });

  it("fails where something remains, names what failed, and does not ask for ever", async () => {
    const others = [{ ...other, keys: "1" }];
    const ofStore = { error: { code: 9, message: "the store is under vault transit/kms" } };
    const { address, received } = await answeringInTurn(
      [200, { ...target, rewrapped: 5, failed: [ofStore, failed], remaining: "3", others, nextPageToken: "one" }],
      [200, { ...target, failed: [ofStore], remaining: "3", others }],
      [200, { ...target, failed: [ofStore, failed], remaining: "3", others }],
    );
    const { code, out, err } = await run(["rewrap", "--address", address]);
    expect([code, received.length]).toEqual([1, 3]);
    expect(out).toMatch(/^failed +2$/m);
    expect(out).toMatch(/^ {2}failed +the store key +the store is under vault transit\/kms$/m);
    expect(out).toMatch(new RegExp(`^  failed +acme +data +v3 +${keyId} +key is under vault transit/kms$`, "m"));
    expect(out).toMatch(/^under local local:0011223344556677: 1 key$/m);
    expect(err).toContain("run it again in ten minutes"); // of three that remain two failed
  });

  it("goes on after an interruption that came after some progress, and ends after one without", async () => {
    const interrupted = { code: 14, message: "provider aws did not answer in time\u001b[2J" };
    const { address, received } = await answeringInTurn(
      [200, { ...target, rewrapped: 3, interrupted, remaining: "9", nextPageToken: "one" }],
      [200, { ...target, interrupted, remaining: "9", nextPageToken: "one" }],
    );
    const { code, out, err } = await run(["rewrap", "--address", address]);
    expect([code, received.length]).toEqual([1, 2]);
    expect(out).toMatch(/^remaining +9$/m);
    expect(err).toBe("fluo-kms: ended early: provider aws did not answer in time?[2J; run it again to go on\n");
  });

  it("says what was done before the service went away", async () => {
    const { address } = await answeringInTurn(
      [200, { ...target, rewrapped: 100, remaining: "9", nextPageToken: "one" }],
      [503, { code: "unavailable", message: "the service is shutting down" }],
    );
    expect(await run(["rewrap", "--address", address])).toEqual({
      code: 1,
      out: "",
      err: "fluo-kms: unavailable: the service is shutting down\nfluo-kms: 100 keys re-wrapped before that; run it again to go on\n",
    });
  });

  it("refuses replicas that do not agree where keys go", async () => {
    const { address } = await answeringInTurn(
      [200, { ...target, rewrapped: 1, remaining: "9", nextPageToken: "one" }],
      [200, { ...other, rewrapped: 1, remaining: "9", nextPageToken: "two" }],
    );
    const { code, err } = await run(["rewrap", "--address", address]);
    expect(code).toBe(1);
    expect(err).toContain("differ in their current provider key: aws arn:aws");
  });

  it("only says what it would do, and exits 0 unless something is known to fail", async () => {
    const { address, received } = await answeringInTurn(
      [
        200,
        { ...target, rewrapped: 1000, storeKeyRewrapped: true, remaining: "1002", nextPageToken: "x", dryRun: true },
      ],
      [200, { ...target, rewrapped: 1, storeKeyRewrapped: true, remaining: "1002", dryRun: true }],
    );
    const { code, out } = await run(["rewrap", "--dry-run", "--address", address]);
    expect(code).toBe(0);
    expect(out).toMatch(/^would re-wrap +1001 keys and the store key$/m);
    expect(bodies(received)).toMatchObject([{ dryRun: true, pageSize: 1000 }, { pageToken: "x" }]);
    const failing = await answering(200, { ...target, failed: [failed], remaining: "1", dryRun: true });
    expect((await run(["rewrap", "--dry-run", "--address", failing.address])).code).toBe(1);
  });

  it("prints JSON, all of it", async () => {
    const others = [{ ...other, keys: "1" }];
    const { address } = await answering(200, { ...target, failed: [failed], remaining: "1", others });
    const { code, out } = await run(["rewrap", "--json", "--address", address]);
    expect(code).toBe(1);
    expect(JSON.parse(out)).toEqual({
      ok: false,
      dry_run: false,
      provider: "aws",
      provider_key_id: target.providerKeyId,
      store_key_rewrapped: false,
      rewrapped: 0,
      interrupted: null,
      remaining: 1,
      failed: [
        { tenant_id: "acme", purpose: "data", key_id: keyId, version: 3, code: 9, message: failed.error.message },
      ],
      others: [{ provider: "local", provider_key_id: other.providerKeyId, keys: 1 }],
    });
  });

  it("tells of a refusal by its Connect error", async () => {
    const { address } = await answering(403, { code: "permission_denied", message: "needs the admin role" });
    const { code, err } = await run(["rewrap", "--address", address]);
    expect([code, err]).toEqual([1, "fluo-kms: permission_denied: needs the admin role\n"]);
  });
});
