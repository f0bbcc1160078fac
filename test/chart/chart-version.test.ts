import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { parse } from "yaml";

const root = join(import.meta.dirname, "..", "..");
const read = (...path: string[]) => readFileSync(join(root, ...path), "utf8");

it("has the version of the service, for the chart and for the image", () => {
  const { version } = JSON.parse(read("package.json"));
  const chart = parse(read("deploy", "helm", "fluo-kms", "Chart.yaml"));
  expect([chart.version, chart.appVersion]).toEqual([version, version]);
});
