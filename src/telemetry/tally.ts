/** Counters that only add: the sums are read when metrics are exported. Each series is there from the first export, at 0. */
import type { Meter } from "@opentelemetry/api";

/** A counter with one label of few values. */
export interface Tally<Value extends string> {
  add(count: number, value: Value): void;
}

interface TallyOptions<Value> {
  description: string;
  label: string;
  values: readonly Value[];
}

export function tally<Value extends string>(
  meter: Meter,
  name: string,
  { description, label, values }: TallyOptions<Value>,
): Tally<Value> {
  const sums = zeros(values);
  meter.createObservableCounter(name, { description }).addCallback((result) => {
    for (const value of values) result.observe(sums[value], { [label]: value });
  });
  return {
    add(count, value) {
      sums[value] += count;
    },
  };
}

/** A counter with two labels. */
export interface CountTable<Column extends string> {
  /** The sums of a row, to be added to; made with zeros when it is first asked for. */
  row(name: string): Record<Column, number>;
}

interface TableOptions<Column> {
  description: string;
  /** Labels of rows and columns. */
  labels: readonly [row: string, column: string];
  columns: readonly Column[];
}

export function countTable<Column extends string>(
  meter: Meter,
  name: string,
  { description, labels: [ofRow, ofColumn], columns }: TableOptions<Column>,
): CountTable<Column> {
  const rows = new Map<string, Record<Column, number>>();
  meter.createObservableCounter(name, { description }).addCallback((result) => {
    for (const [row, sums] of rows) {
      for (const column of columns) result.observe(sums[column], { [ofRow]: row, [ofColumn]: column });
    }
  });
  return {
    row(of) {
      const sums = rows.get(of) ?? zeros(columns);
      rows.set(of, sums);
      return sums;
    },
  };
}

function zeros<Value extends string>(values: readonly Value[]): Record<Value, number> {
  return Object.fromEntries(values.map((value) => [value, 0])) as Record<Value, number>;
}
