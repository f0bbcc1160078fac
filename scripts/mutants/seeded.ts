/** Mutants that a seed makes of the text of src/: the same ones for the same seed and text. */
import { parseAst } from "rolldown/parseAst";
import { randomFrom } from "../../test/crash/random.ts";
import { type Change, lineOf, type Mutant, type Sources } from "./change.ts";

type Edit = Omit<Change, "path">;

/** A node of the syntax tree (ESTree). */
interface Node {
  type: string;
  start: number;
  end: number;
  // biome-ignore lint/suspicious/noExplicitAny: its further members depend on its type
  [member: string]: any;
}

const comparisons: Readonly<Record<string, string>> = {
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "===": "!==",
  "!==": "===",
};

/** Larger numbers are mostly times and sizes, of which one more or less is the same. */
const largestNumber = 256;

/** Edits of a node by operator. Those that no longer type-check are left out by the caller. */
const operators: Readonly<Record<string, (node: Node, source: string) => Edit[]>> = {
  "flip comparison": (node, source) =>
    node.type === "BinaryExpression" && node.operator in comparisons
      ? replaceOperator(node, source, comparisons[node.operator]!)
      : [],
  "one more": (node) => changeNumber(node, 1),
  "drop await": (node, source) =>
    node.type === "AwaitExpression" ? [{ ...rangeOf(node), text: source.slice(node.argument.start, node.end) }] : [],
  "negate condition": ({ type, test }, source) =>
    ["IfStatement", "ConditionalExpression", "WhileStatement"].includes(type)
      ? [{ ...rangeOf(test), text: `!(${source.slice(test.start, test.end)})` }]
      : [],
  "swap && and ||": (node, source) =>
    node.type === "LogicalExpression" && node.operator !== "??"
      ? replaceOperator(node, source, node.operator === "&&" ? "||" : "&&")
      : [],
  "return early": ({ type, body }) =>
    /Function/.test(type) && body?.type === "BlockStatement" && body.body.length > 1
      ? [{ start: body.start + 1, end: body.start + 1, text: " return;" }]
      : [],
  "drop call": (node) =>
    node.type === "ExpressionStatement" && isCall(node.expression) ? [{ ...rangeOf(node), text: ";" }] : [],
  "one less": (node) => changeNumber(node, -1),
  "drop guard": (node) =>
    node.type === "IfStatement" && !node.alternate && /^(Throw|Return)/.test(node.consequent.type)
      ? [{ ...rangeOf(node), text: ";" }]
      : [],
};

/** Yields mutants without end of sites: the operators take turns, each with a site of its own by the seed, no site twice. */
export function* seededMutants(sources: Sources, seed: number): Generator<Mutant> {
  const random = randomFrom(seed);
  const sites = sitesOf(sources);
  while ([...sites.values()].some((left) => left.length > 0)) {
    for (const [operator, left] of sites) {
      if (left.length === 0) continue;
      const [change] = left.splice(random.below(left.length), 1) as [Change];
      const source = sources.get(change.path)!;
      const column = change.start - source.lastIndexOf("\n", change.start - 1);
      const name = `${change.path}:${lineOf(source, change.start)}:${column} ${operator}`;
      yield { name, isByHand: false, ...change };
    }
  }
}

/** Returns all sites by operator, in the order of paths and text. */
function sitesOf(sources: Sources): Map<string, Change[]> {
  const sites = new Map<string, Change[]>(Object.keys(operators).map((operator) => [operator, []]));
  for (const [path, source] of [...sources].sort(([a], [b]) => (a < b ? -1 : 1))) {
    if (!path.endsWith(".ts")) continue;
    visit(parseAst(source, { lang: "ts" }) as unknown as Node, (node) => {
      for (const [operator, editsOf] of Object.entries(operators)) {
        sites.get(operator)!.push(...editsOf(node, source).map((edit) => ({ path, ...edit })));
      }
    });
  }
  return sites;
}

/** Visits each node that is code: types do nothing at run time. */
function visit(node: Node, see: (node: Node) => void): void {
  if (/^TS(?!AsExpression|NonNull|Satisfies)/.test(node.type)) return;
  see(node);
  for (const child of Object.values(node).flat()) {
    if (typeof child?.type === "string") visit(child, see);
  }
}

function rangeOf({ start, end }: Node): Pick<Edit, "start" | "end"> {
  return { start, end };
}

function replaceOperator({ operator, left, right }: Node, source: string, text: string): Edit[] {
  const at = left.end + source.slice(left.end, right.start).indexOf(operator);
  return [{ start: at, end: at + operator.length, text }];
}

function changeNumber(node: Node, by: number): Edit[] {
  const { type, value } = node;
  if (type !== "Literal" || typeof value !== "number" || !Number.isInteger(value) || value > largestNumber) return [];
  return [{ ...rangeOf(node), text: String(value + by) }];
}

function isCall({ type, argument }: Node): boolean {
  return type === "CallExpression" || (type === "AwaitExpression" && argument.type === "CallExpression");
}
