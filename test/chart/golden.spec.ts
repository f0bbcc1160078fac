/** Each example as it is rendered. `npm run test:chart -- golden -u` writes the files anew; read what changed in them. */
import { join } from "node:path";
import { expect, it } from "vitest";
import { firstOfEach } from "../support/short.ts";
import { examples, fileOfMonitoring, template } from "./helm-chart.ts";

/** Files of monitoring/ that are rendered whole: static.spec.ts compares them, and here a line stands for each. */
const whole = [
  { indent: 2, path: ["prometheus", "kms-alerts.yaml"] },
  { indent: 4, path: ["grafana", "dashboards", "kms-operations.json"] },
] as const;

function shortened(text: string): string {
  return whole.reduce((short, { indent, path }) => {
    const indented = fileOfMonitoring(...path).replace(/^/gm, " ".repeat(indent));
    return short.replace(indented, () => `${" ".repeat(indent)}# monitoring/${path.join("/")}\n`);
  }, text);
}

it.each(firstOfEach(examples))("renders %s as committed", async (example) => {
  await expect(shortened(template(example))).toMatchFileSnapshot(join("golden", `${example}.yaml`));
});
