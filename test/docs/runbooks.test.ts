/** Runbooks have one shape, so that who has never seen one finds what to do, and the table of troubleshooting leads to each. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { rowsOf } from "./tables.ts";

const docs = join(import.meta.dirname, "..", "..", "docs");
const files = readdirSync(join(docs, "runbooks"));
const pageOf = (file: string) => readFileSync(join(docs, "runbooks", file), "utf8");

const headings = ["What it means", "What is hurt", "Look", "Do", "Afterwards"];
const most = { lines: 100, columns: 120 };
/** Pages of the folder that belong to no alert have titles of words. */
const alertTitle = /^# (Kms[A-Za-z]+)\n\n(Critical|Warning)/;
const ofAlerts = files.filter((file) => /^# Kms\w+\n/.test(pageOf(file)));

/** Returns the page as readers see it: without comments, which may hold a script. */
function seen(page: string): string {
  return page.replace(/^<!--[\s\S]*?-->\n+/gm, "");
}

/** Returns what is wrong with a runbook, a line each. */
function problemsOf(page: string): string[] {
  const problems: string[] = [];
  if (!alertTitle.test(page)) problems.push("it begins with no alert, severity and condition");
  const text = seen(page);
  const found = [...text.replace(/^```[\s\S]*?^```$/gm, "").matchAll(/^## (.*)$/gm)].map(([, heading]) => heading);
  if (found.join() !== headings.join()) problems.push(`its headings are ${found.join(", ")}`);
  const lines = text.trimEnd().split("\n");
  if (lines.length > most.lines) problems.push(`it has ${lines.length} lines`);
  const wide = text.replace(/^```[\s\S]*?^```$/gm, "").split("\n");
  for (const line of wide) if ([...line].length > most.columns) problems.push(`too wide: ${line}`);
  if (!/^```promql$/m.test(text)) problems.push("it has no query");
  if (!/^```console$/m.test(text)) problems.push("it has no command");
  return problems;
}

it("are there", () => {
  expect(ofAlerts.length).toBeGreaterThan(20);
});

it.each(ofAlerts)("%s has the shape of a runbook", (file) => {
  expect(problemsOf(pageOf(file))).toEqual([]);
});

it("are all in the table of troubleshooting, with their alert and severity", () => {
  const rows = rowsOf(readFileSync(join(docs, "KMS_TROUBLESHOOTING.md"), "utf8"), "alert");
  const linked = rows.map(([link = "", severity = ""]) => `${link} ${severity.split(",")[0]}`);
  const own = ofAlerts.map((file) => {
    const [, alert, severity] = alertTitle.exec(pageOf(file)) ?? [];
    return `[${alert}](runbooks/${file}) ${severity?.toLowerCase()}`;
  });
  expect(linked.sort()).toEqual(own.sort());
});

it("are refused in another shape", () => {
  const [file] = ofAlerts;
  const page = pageOf(file!);
  expect(problemsOf(page.replace("## Do\n", "## Then\n"))).toHaveLength(1);
  expect(problemsOf(page.replace(/\n\n(Critical|Warning)/, "\n\nIt is bad"))).toHaveLength(1);
  expect(problemsOf(page.replaceAll("```promql", "```text"))).toHaveLength(1);
  expect(problemsOf(`${page}${"more\n".repeat(100)}`)).toHaveLength(1);
  expect(problemsOf(`${page}${"wide ".repeat(30)}\n`)).toHaveLength(1);
});
