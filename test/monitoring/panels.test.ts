/** Problems that panelProblems finds, against a server that answers as Prometheus does. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { panelProblems } from "./panels.ts";

/** Answers of Prometheus by query. Any other query finds nothing. */
const answers: Readonly<Record<string, object>> = {
  'sum(rate(a{job=~"kms"}[10s]))': { data: { result: [{ metric: { job: "kms", code: "OK" } }] } },
  b: { data: { result: [{ metric: { instance: "1" } }, { metric: { instance: "2" } }] } },
  "b(": { status: "error", error: "parse error" },
};

const server = createServer(({ url }, response) => {
  const { pathname, searchParams } = new URL(url!, "http://prometheus");
  if (pathname !== "/api/v1/query") return void response.writeHead(404).end("page not found");
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify(answers[searchParams.get("query")!] ?? { data: { result: [] } }));
});
let prometheus: string;
beforeAll(async () => {
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  prometheus = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => void server.close());

function problemsOf(expr: string, legendFormat = "one", at = prometheus): Promise<string[]> {
  const panels = [{ title: "Row" }, { title: "Panel", targets: [{ refId: "A", expr, legendFormat }] }];
  return panelProblems({ panels }, { prometheus: at, variables: { job: "kms" }, rateInterval: "10s" });
}

it.each([
  ["finds what its legend names", 'sum(rate(a{job=~"$job"}[$__rate_interval]))', "{{code}} {{job}}"],
  ["finds nothing, as it may", 'kms_heads_age_seconds{job=~"$job"}', "age"],
])("has nothing to say of a query that %s", async (_, expr, legend) => {
  expect(await problemsOf(expr, legend)).toEqual([]);
});

it.each([
  ["finds nothing", "c", "one", "Panel, A: finds nothing: c"],
  [
    "has a label on no series in its legend",
    "b",
    "{{instance}} {{code}}",
    "Panel, A: no series has the label code of the legend",
  ],
  ["names two series alike", "b", "one", 'Panel, A: several series are named "one"'],
  ["is no query", "b(", "one", "Panel, A: parse error: b("],
  [
    "has a variable without a value",
    "a{x=~'$region'}",
    "one",
    "Panel, A: the variable region has no value: a{x=~'$region'}",
  ],
])("tells of a query that %s", async (_, expr, legend, problem) => {
  expect(await problemsOf(expr, legend)).toEqual([problem]);
});

it("tells of a Prometheus that is none", async () => {
  expect(await problemsOf("b", "{{instance}}", `${prometheus}/other`)).toEqual(["Panel, A: 404 page not found: b"]);
});
