import { describe, expect, it, onTestFinished } from "vitest";
import { answering, run } from "../../support/cli-fixture.ts";
import { liveIn, sql, sqlitePlace } from "../../support/cli-store-fixture.ts";
import { startService } from "../../support/running-service.ts";

const [writer, other] = ["ab".repeat(16), "cd".repeat(16)];
const [mac, otherMac] = ["01".repeat(32), "02".repeat(32)];
const whole = { ok: true, events: "12", heads: [{ writerId: writer, sequence: "12", mac }] };

describe("audit verify", () => {
  it("prints the heads, to be kept elsewhere", async () => {
    const { address, received } = await answering(200, whole);
    expect(await run(["audit", "verify", "--address", address])).toEqual({
      code: 0,
      out: `head ${writer}:12:${mac}\n12 events, no problems\n`,
      err: "",
    });
    expect(received).toEqual([{ method: "POST", url: "/fluo.kms.v1.KeyAdminService/VerifyAudit", body: "{}" }]);
  });

  it("prints each problem and fails", async () => {
    const problems = [
      { writerId: writer, sequence: "3", what: "row 3 is missing" },
      { what: "2 writers were counted" },
    ];
    const { address } = await answering(200, { events: "11", problems, problemCount: "2" });
    const { code, out } = await run(["audit", "verify", "--address", address]);
    expect(code).toBe(1);
    expect(out).toBe(
      `problem: writer ${writer}: row 3 is missing\nproblem: 2 writers were counted\n11 events, 2 problems\n`,
    );
  });

  it.each([
    ["the same", `${writer}:12:${mac}`, undefined],
    ["an older one", `${writer}:11:${otherMac}`, undefined],
    ["a newer one", `${writer}:13:${mac}`, `writer ${writer} had 13 rows and has 12: the database was rolled back`],
    ["another with its number", `${writer}:12:${otherMac}`, `writer ${writer} has another row 12 than it had`],
    ["another writer's", `${other}:1:${mac}`, `writer ${other} is gone: the database was rolled back`],
  ])("compares with %s head", async (_, head, problem) => {
    const { address } = await answering(200, whole);
    const args = ["audit", "verify", "--address", address, "--head", `${writer}:1:${mac}`, "--head", head];
    const { code, out } = await run(args);
    expect(code).toBe(problem === undefined ? 0 : 1);
    if (problem === undefined) expect(out).toContain("12 events, no problems");
    else expect(out).toContain(`problem: ${problem}`);
    const json = JSON.parse((await run([...args, "--json"])).out);
    expect(json).toMatchObject(whole);
    expect(json.headProblems).toHaveLength(problem === undefined ? 0 : 1);
  });

  it("asks a real service, which finds the row that was taken away", async () => {
    const where = sqlitePlace();
    await liveIn(where);
    const { url, stop } = await startService(where.env);
    onTestFinished(stop);
    const verify = (...args: string[]) => run(["audit", "verify", "--address", url, ...args]);
    const { code, out } = await verify();
    expect({ code, last: out.trimEnd().split("\n").at(-1) }).toEqual({
      code: 0,
      last: expect.stringMatching(/no problems$/),
    });
    const heads = out.match(/(?<=^head ).*/gm)!.flatMap((head) => ["--head", head]);
    expect((await verify(...heads)).code).toBe(0);
    await sql(where, "delete from kms_audit where sequence = 3");
    const again = await verify(...heads);
    expect(again.code).toBe(1);
    expect(again.out).toMatch(/^problem: writer [0-9a-f]{32}: row 3 is missing$/m);
  });

  it("tells of a refusal by its Connect error", async () => {
    const { address } = await answering(403, { code: "permission_denied", message: "needs the admin role" });
    expect(await run(["audit", "verify", "--address", address])).toEqual({
      code: 1,
      out: "",
      err: "fluo-kms: permission_denied: needs the admin role\n",
    });
  });
});
