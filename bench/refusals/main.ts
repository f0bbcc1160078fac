/** What a flood of refusals costs, and the rows that it leaves in the audit trail, beside those of another caller. */
import { refusalFlood } from "../../test/support/refusal-flood.ts";
import { aligned, digits } from "../figures.ts";

const count = 60_000;
const columns = ["actor", "action", "tenant_id", "key_id", "outcome", "count", "distinct_names", "detail"];

export async function refusals() {
  const { rows, cpuUsEach } = await refusalFlood(count);
  const lines = rows.map((row) => columns.map((column) => String(row[column] ?? "")));
  console.log(
    `\n${count} refusals of a caller, 3 of another: ${digits(cpuUsEach)} µs of CPU each, ${rows.length} rows`,
  );
  console.log(aligned([columns, ...lines]));
  return { refusals: count, cpuUsEach, rows: rows.length };
}
