/** docs/GCP_KMS_SETUP.md has settings that the service takes, and explains every message of the provider in the provider's own words. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { load } from "../support/config-fixture.ts";

const root = join(import.meta.dirname, "..", "..");
const guide = readFileSync(join(root, "docs", "GCP_KMS_SETUP.md"), "utf8");
const key = "projects/audit-1/locations/europe-west1/keyRings/fluo/cryptoKeys/fluo-kms";

it("has settings that load, alone and for a move", () => {
  const [alone, file, move, ...more] = [...guide.matchAll(/```properties\n([\s\S]*?)```/g)].map(([, text]) => text!);
  expect(more).toEqual([]);
  expect(load({}, alone).provider).toMatchObject({ name: "gcp", key });
  expect(load({}, `${alone}${file}`).provider).toMatchObject({ credentialsFile: "/etc/fluo-kms/gcp.json" });
  expect(load({}, move)).toMatchObject({ provider: { key }, otherProvider: { name: "local" } });
});

it("has every message of the provider, and none that it does not have", () => {
  const folder = join(root, "src", "provider", "gcp");
  const files = [...readdirSync(folder), join("..", "unreachable.ts")];
  const source = files.map((name) => readFileSync(join(folder, name), "utf8")).join("\n");
  const told = [...guide.matchAll(/^\| `([^`]+)`\s+\|/gm)].map(([, text]) => text!);
  const messages = told.filter((text) => !text.startsWith("gcp.kms.") && !text.startsWith("provider gcp"));
  expect(messages.length).toBeGreaterThan(25);
  expect(messages.filter((message) => !source.includes(message))).toEqual([]);
  const ofAnswers = [...source.matchAll(/\b(?:no|later),\s*"([^"]+)"/g)].map(([, text]) => text!);
  expect(ofAnswers.length).toBeGreaterThan(15);
  expect(ofAnswers.filter((message) => !messages.includes(message))).toEqual([]);
});
