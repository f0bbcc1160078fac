/** What the demo signs: a loan decision as an OpenTelemetry SDK exports it, in OTLP JSON, children before their parents. */

interface DemoSpan {
  id: number;
  parent?: number;
  name: string;
  kind: number;
  /** Milliseconds after the first. */
  from: number;
  to: number;
  attributes: Readonly<Record<string, string | number | boolean>>;
}

const traceId = "5b8efff798038103d269b633813fc60c";
const [internal, server, client] = [1, 2, 3];
const firstMs = Date.UTC(2026, 2, 2, 9, 30);

const http: DemoSpan[] = [
  {
    id: 6,
    name: "POST /loans/{id}/decision",
    kind: server,
    from: 0,
    to: 142,
    attributes: { "http.request.method": "POST", "url.path": "/loans/4711/decision", "http.response.status_code": 200 },
  },
];
const database: DemoSpan[] = [
  {
    id: 1,
    parent: 6,
    name: "SELECT applications",
    kind: client,
    from: 3,
    to: 11,
    attributes: { "db.system.name": "postgresql" },
  },
  {
    id: 5,
    parent: 6,
    name: "INSERT decisions",
    kind: client,
    from: 121,
    to: 138,
    attributes: { "db.system.name": "postgresql" },
  },
];
const decisions: DemoSpan[] = [
  { id: 2, parent: 4, name: "check income", kind: internal, from: 14, to: 58, attributes: { "income.proven": true } },
  {
    id: 3,
    parent: 4,
    name: "score applicant",
    kind: internal,
    from: 59,
    to: 117,
    attributes: { "loan.score": 0.42, "model.version": "v7" },
  },
  {
    id: 4,
    parent: 6,
    name: "decide loan",
    kind: internal,
    from: 12,
    to: 119,
    attributes: { "loan.id": 4711, "loan.approved": false },
  },
];

/** How many spans the export has. */
export const demoSpans = http.length + database.length + decisions.length;

export function demoExport(): string {
  const scopes = Object.entries({ "loans.db": database, "loans.decisions": decisions, "loans.http": http });
  const resourceSpans = {
    resource: { attributes: attributes({ "service.name": "loans", "service.version": "1.4.2" }) },
    scopeSpans: scopes.map(([name, spans]) => ({ scope: { name, version: "2.1.0" }, spans: spans.map(spanJson) })),
  };
  return JSON.stringify({ resourceSpans: [resourceSpans] }, undefined, 2);
}

function spanJson({ id, parent, name, kind, from, to, attributes: values }: DemoSpan) {
  return {
    traceId,
    spanId: spanId(id),
    ...(parent !== undefined && { parentSpanId: spanId(parent) }),
    name,
    kind,
    startTimeUnixNano: nanos(from),
    endTimeUnixNano: nanos(to),
    attributes: attributes(values),
    status: {},
  };
}

function spanId(id: number): string {
  return `eee19b7ec3c1b17${id}`;
}

function nanos(ms: number): string {
  return `${firstMs + ms}000000`;
}

function attributes(values: DemoSpan["attributes"]) {
  return Object.entries(values).map(([key, value]) => ({ key, value: valueJson(value) }));
}

function valueJson(value: string | number | boolean) {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  return Number.isInteger(value) ? { intValue: `${value}` } : { doubleValue: value };
}
