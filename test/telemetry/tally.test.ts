import { expect, it } from "vitest";
import { countTable, tally } from "../../src/telemetry/tally.ts";
import { exportedBy, linesOf } from "../support/exported-metrics.ts";

it("a tally shows every value from 0 on", async () => {
  const lines = await exportedBy(({ meter }) => {
    const made = tally(meter, "made_total", { description: "made", label: "of", values: ["wood", "stone"] });
    made.add(2, "stone");
    made.add(1, "stone");
  });
  expect(linesOf(lines, "made_total")).toEqual(['made_total{of="wood"} 0', 'made_total{of="stone"} 3']);
});

it("a table shows every column of a row that was asked for, whose sums stay when it is asked for again", async () => {
  const lines = await exportedBy(({ meter }) => {
    const table = countTable(meter, "done_total", {
      description: "done",
      labels: ["who", "how"],
      columns: ["well", "badly"],
    });
    table.row("ann").well += 1;
    table.row("bob");
    table.row("ann").well += 1;
  });
  expect(linesOf(lines, "done_total")).toEqual([
    'done_total{who="ann",how="well"} 2',
    'done_total{who="ann",how="badly"} 0',
    'done_total{who="bob",how="well"} 0',
    'done_total{who="bob",how="badly"} 0',
  ]);
});
