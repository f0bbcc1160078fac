/** The module by Terraform itself: its form, whether it and its examples are valid, and its own tests, with a mocked provider. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { firstOfEach, isShort } from "../support/short.ts";
import { examples, module, type Terraform, terraformCopy } from "./terraform.ts";

let terraform: Terraform;

beforeAll(async () => {
  terraform = await terraformCopy({ AWS_REGION: "eu-central-1" });
});
afterAll(() => terraform?.remove());

describe("the Terraform module", () => {
  it("is formatted", async () => {
    const { out } = await terraform.run(["fmt", "-check", "-recursive", "-diff", module]);
    expect(out).toBe("");
  });

  it.each(firstOfEach(examples))("has a valid example in %s", async (of) => {
    await terraform.run(["init", "-backend=false"], { of });
    const { out } = await terraform.run(["validate", "-json"], { of });
    expect(JSON.parse(out)).toMatchObject({ valid: true, error_count: 0, warning_count: 0 });
  });

  it("passes its own tests", async () => {
    await terraform.run(["init", "-backend=false"]);
    const first = isShort ? ["-filter=tests/role.tftest.hcl"] : [];
    const { out } = await terraform.run(["test", "-no-color", ...first]);
    expect(out).toMatch(/^Success! [1-9]\d* passed, 0 failed\.$/m);
  });

  // A module cannot be a root without the configurations that it is otherwise handed.
  it("is valid by itself", async () => {
    const configurations = 'provider "aws" {\n}\n\nprovider "aws" {\n  alias = "replica"\n}\n';
    await writeFile(join(terraform.directory, "configurations.tf"), configurations);
    const { out } = await terraform.run(["validate", "-json"]);
    expect(JSON.parse(out)).toMatchObject({ valid: true, error_count: 0, warning_count: 0 });
  });
});
