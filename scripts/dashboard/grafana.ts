/** Panels of three kinds and their places, in the JSON of Grafana 11 and later (schema version 39). */
import type { Query } from "./promql.ts";

/** Content and looks of a panel. */
export interface PanelSpec {
  /** Its meaning and its healthy values, in sentences. */
  says: string;
  /** Name of its runbook in docs/runbooks/, without `.md`. */
  runbook: string;
  /** Columns of the dashboard's 24. */
  width: number;
  queries: readonly Query[];
  /** One of Grafana's units, or `suffix:` and a text. */
  unit: string;
  /** Colour of the lowest values, and those from a value on. A time series draws lines at these values. */
  thresholds?: Thresholds;
  /** Names of values, with their colours if they have any. */
  names?: Readonly<Record<number, { text: string; color?: Color }>>;
}

export interface StatSpec extends PanelSpec {
  /** Shown if the queries find nothing. */
  noValue?: string;
  /** URL that a value leads to, by the beginning of its name. */
  links?: Readonly<Record<string, string>>;
}

export interface TimeSeriesSpec extends PanelSpec {
  /** End of the scale. It begins at 0. */
  max?: number;
  /** Draws the series on top of one another. */
  stacked?: boolean;
  /** Colours of series, by the beginning of their names. */
  colors?: Readonly<Record<string, Color>>;
  /** Leaves series that are 0 all the time out of the legend and the tooltip. */
  quietZeros?: boolean;
}

export type Color = "green" | "yellow" | "orange" | "red" | "blue" | "text";
export type Thresholds = readonly [lowest: Color, ...steps: (readonly [from: number, Color])[]];

export interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: readonly { refId: string; expr: string; legendFormat: string }[];
}

/** A panel without its place. */
type Unplaced = Omit<Panel, "gridPos"> & { gridPos: { w: number; h: number } };

export interface Row {
  /** Identity of the row's heading. Identities are for ever: links name them. */
  id: number;
  title: string;
  panels: readonly Unplaced[];
}

export const datasource = { type: "prometheus", uid: `\${datasource}` } as const;

const runbooks = "docs/runbooks";
const runbooksUrl = `https://github.com/fluo-dev/fluo-kms/blob/main/${runbooks}`;
const columns = 24;
const plain: Thresholds = ["text"];

/** Values over time. */
export function timeSeries(id: number, title: string, spec: TimeSeriesSpec): Unplaced {
  const { stacked = false, colors = {}, quietZeros = false, thresholds = plain } = spec;
  return panel(id, title, spec, {
    type: "timeseries",
    height: 8,
    defaults: {
      color: { mode: "palette-classic" },
      min: 0,
      ...(spec.max !== undefined && { max: spec.max }),
      custom: {
        fillOpacity: stacked ? 40 : 8,
        showPoints: "never",
        ...(stacked && { stacking: { mode: "normal", group: "A" } }),
        thresholdsStyle: { mode: thresholds.length > 1 ? "dashed" : "off" },
      },
    },
    overrides: [...Object.entries(colors).map(colored), ...(quietZeros ? [withoutZeros] : [])],
    options: {
      legend: {
        showLegend: true,
        displayMode: "table",
        placement: "bottom",
        calcs: ["lastNotNull", "max"],
        sortBy: "Max",
        sortDesc: true,
      },
      tooltip: { mode: "multi", sort: "desc" },
    },
  });
}

/** Present values, large. Thresholds colour the background. */
export function stat(id: number, title: string, spec: StatSpec): Unplaced {
  const { thresholds = plain, queries, noValue, links = {} } = spec;
  return panel(id, title, spec, {
    type: "stat",
    height: 4,
    times: { instant: true, range: false },
    defaults: { color: { mode: "thresholds" }, ...(noValue !== undefined && { noValue }) },
    overrides: Object.entries(links).map(linked),
    options: {
      colorMode: thresholds.length > 1 ? "background" : "value",
      graphMode: "none",
      textMode: queries.some(({ legend }) => legend.startsWith("{{")) ? "value_and_name" : "auto",
      reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false },
    },
  });
}

/** States over time, each by its name and colour. */
export function stateTimeline(id: number, title: string, spec: PanelSpec): Unplaced {
  return panel(id, title, spec, {
    type: "state-timeline",
    height: 8,
    defaults: { color: { mode: "thresholds" }, custom: { fillOpacity: 70, lineWidth: 0 } },
    options: {
      mergeValues: true,
      showValue: "auto",
      alignValue: "left",
      rowHeight: 0.9,
      legend: { showLegend: false, displayMode: "list", placement: "bottom" },
      tooltip: { mode: "multi", sort: "none" },
    },
  });
}

/** Parts that differ between the kinds of panels. */
interface Kind {
  type: string;
  height: number;
  /** Times that a query is about: one, or the whole range, which is the default. */
  times?: { instant: boolean; range: boolean };
  defaults: object;
  overrides?: readonly object[];
  options: object;
}

function panel(id: number, title: string, spec: PanelSpec, kind: Kind): Unplaced {
  const { says, runbook, width, queries, unit, thresholds = plain, names } = spec;
  const mappings = names ? [{ type: "value", options: names }] : [];
  const defaults = { unit, ...kind.defaults, mappings, thresholds: { mode: "absolute", steps: stepsOf(thresholds) } };
  const about = {
    id,
    type: kind.type,
    title,
    description: `${says} Runbook: ${runbooks}/${runbook}.md`,
    links: [{ title: "Runbook", url: `${runbooksUrl}/${runbook}.md`, targetBlank: true }],
    datasource,
    gridPos: { w: width, h: kind.height },
  };
  return {
    ...about,
    fieldConfig: { defaults, overrides: kind.overrides ?? [] },
    options: kind.options,
    targets: queries.map(({ expr, legend }, at) => ({
      refId: String.fromCharCode("A".charCodeAt(0) + at),
      ...(kind.times ?? { range: true }),
      editorMode: "code",
      expr,
      legendFormat: legend,
    })),
  } as Unplaced;
}

function stepsOf([lowest, ...steps]: Thresholds): { color: Color; value: number | null }[] {
  return [{ color: lowest, value: null }, ...steps.map(([value, color]) => ({ color, value }))];
}

function colored([name, color]: [name: string, Color]): object {
  return {
    matcher: { id: "byRegexp", options: `/^${name}\\b/` },
    properties: [{ id: "color", value: { mode: "fixed", fixedColor: color } }],
  };
}

function linked([name, url]: [name: string, url: string]): object {
  return {
    matcher: { id: "byRegexp", options: `/^${name}\\b/` },
    properties: [{ id: "links", value: [{ title: "Runbook", url, targetBlank: true }] }],
  };
}

const withoutZeros = {
  matcher: { id: "byValue", options: { reducer: "allIsZero", op: "gte", value: 0 } },
  properties: [{ id: "custom.hideFrom", value: { legend: true, tooltip: true, viz: false } }],
};

/** Places rows below one another, and their panels from left to right. */
export function placed(rows: readonly Row[]): Panel[] {
  let y = 0;
  return rows.flatMap(({ id, title, panels }) => {
    const heading = { id, type: "row", title, collapsed: false, panels: [], gridPos: { x: 0, y, w: columns, h: 1 } };
    y += 1;
    return [heading, ...linesOf(panels).flatMap(placeLine)];
  });

  function placeLine(panels: readonly Unplaced[]): Panel[] {
    let x = 0;
    const top = y;
    y += Math.max(...panels.map(({ gridPos }) => gridPos.h));
    return panels.map((each) => {
      const gridPos = { x, y: top, ...each.gridPos };
      x += gridPos.w;
      return { ...each, gridPos };
    });
  }
}

/** Breaks a row's panels into lines of at most 24 columns. */
function linesOf(panels: readonly Unplaced[]): Unplaced[][] {
  const lines: Unplaced[][] = [];
  let used = columns;
  for (const each of panels) {
    used += each.gridPos.w;
    if (used > columns) {
      lines.push([]);
      used = each.gridPos.w;
    }
    lines.at(-1)!.push(each);
  }
  return lines;
}
