import { expect, it } from "vitest";
import { verifierPageSha256 } from "../../gen/ts/verifier_page.ts";
import packageJson from "../../package.json" with { type: "json" };
import { misreadText, misreadsNames } from "../../src/runtime/misread-names.ts";
import { run } from "../support/cli-fixture.ts";

it("prints its version and the digest of the page that verifies, as JSON too", async () => {
  const { version } = packageJson;
  // A line more, and a member, where Node has a defect.
  const notices = misreadsNames() ? [misreadText] : [];
  const out = [version, `fluo-verify.html sha256 ${verifierPageSha256}`, ...notices, ""].join("\n");
  expect(await run(["--version"])).toEqual({ code: 0, out, err: "" });
  const json = JSON.parse((await run(["status", "--version", "--json"])).out);
  expect(json).toEqual({ version, verifier_page_sha256: verifierPageSha256, ...(notices.length > 0 && { notices }) });
});
