/** Reads what a policy's tree should hold, and remembers what it does not: reading goes on, so that all problems are told at once. */
import type { MapNode, PolicyNode, PolicyProblem, TextNode } from "./text.ts";
import { suggestion } from "../../encoding/nearest.ts";
import { quote } from "./quote.ts";

export interface Fields {
  readonly line: number;
  /** Whether there is a mapping; where there is none that was told, and nothing more is. */
  readonly isMap: boolean;
  /** What this is called in problems: `rule ingest`. */
  what: string;
  /** Tells of the mapping as a whole. */
  problem(text: string): void;
  get(key: string): PolicyNode | undefined;
  /** The text of a key that must be there; empty where it is not, which is told. */
  text(key: string): string;
  optional(key: string): TextNode | undefined;
}

export interface Reader {
  readonly problems: PolicyProblem[];
  readonly warnings: PolicyProblem[];
  problem(line: number, text: string): void;
  warning(line: number, text: string): void;
  /** The keys of a mapping, of which `known` may be there. */
  fields(node: PolicyNode | undefined, known: readonly string[], what: string): Fields;
  /** A list's items; one value that stands alone is a list of one. */
  list(node: PolicyNode | undefined): readonly PolicyNode[];
  texts(node: PolicyNode | undefined, what: string): readonly TextNode[];
  /** Problems where the name of an entry has not the form of a name, or another entry has it. */
  name(fields: Fields, others: ReadonlySet<string>, kind: string): string;
}

const namePattern = /^[a-z][a-z0-9-]{0,31}$/;
const nothing: MapNode = { kind: "map", entries: [], line: 1 };

export function createReader(): Reader {
  const problems: PolicyProblem[] = [];
  const warnings: PolicyProblem[] = [];
  const isFull = () => problems.length >= maxProblems;
  const reader: Reader = {
    problems,
    warnings,
    problem: (line, text) => void (isFull() || problems.push({ line, text })),
    warning: (line, text) => void warnings.push({ line, text }),

    fields(node, known, what) {
      if (node?.kind !== "map") {
        reader.problem(node?.line ?? 1, `${what} must be a mapping, as in { ${known[0]}: … }`);
        return fieldsOf({ ...nothing, line: node?.line ?? 1 }, { what, isMap: false }, reader);
      }
      for (const { key, line } of node.entries) {
        if (isFull()) break;
        if (known.includes(key)) continue;
        reader.problem(line, `${what} has no ${quote(key)}; known: ${known.join(", ")}${suggestion(key, known)}`);
      }
      return fieldsOf(node, { what, isMap: true }, reader);
    },

    list: (node) => (node === undefined ? [] : node.kind === "list" ? node.items : [node]),

    texts(node, what) {
      return reader.list(node).filter((item): item is TextNode => {
        if (item.kind === "text" && item.text !== "") return true;
        reader.problem(item.line, `${what} must be text`);
        return false;
      });
    },

    name(fields, others, kind) {
      const name = fields.text("name");
      if (name !== "") fields.what = `${kind} ${quote(name)}`;
      if (name !== "" && !namePattern.test(name)) {
        reader.problem(fields.line, `${fields.what}: a name matches ^[a-z][a-z0-9-]{0,31}$`);
      }
      if (name !== "" && others.has(name)) reader.problem(fields.line, `a second ${fields.what}`);
      return name;
    },
  };
  return reader;
}

function fieldsOf(map: MapNode, { what, isMap }: Pick<Fields, "what" | "isMap">, { problem }: Reader): Fields {
  const get = (key: string) => map.entries.find((entry) => entry.key === key)?.value;
  const fields: Fields = {
    line: map.line,
    isMap,
    what,
    problem: (text) => void (isMap && problem(map.line, `${fields.what}: ${text}`)),
    get,
    text(key) {
      const node = get(key);
      if (isMap && node === undefined) problem(map.line, `${fields.what} needs ${key}`);
      return fields.optional(key)?.text ?? "";
    },
    optional(key) {
      const node = get(key);
      if (node === undefined || (node.kind === "text" && node.text !== "")) return node;
      problem(node.line, `${fields.what}: ${key} must be text`);
      return undefined;
    },
  };
  return fields;
}

/** More would be of no use to anybody. */
const maxProblems = 100;
/** Returns what is said of a name that stands for no entry, with the entries that there are. */
export function noEntry(kind: string, name: string, entries: Iterable<string>): string {
  const names = [...entries];
  const some = names.length === 0 ? "there are none" : `there are ${names.slice(0, 10).join(", ")}`;
  return `no entry of ${kind} is called ${quote(name)}; ${some}${suggestion(name, names)}`;
}
