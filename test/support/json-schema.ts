/**
 * As much of JSON Schema draft 7 as policy.schema.json uses; a keyword that is not here throws, so that none is
 * left out unseen. It shares no code with what editors use: python3 -m jsonschema judged the same files when
 * the schema was made.
 */

type Schema = Readonly<Record<string, unknown>>;

/** Whether a value is valid; `root` has the definitions. */
export function isValid(root: object, value: unknown): boolean {
  return check(root as Schema, root as Schema, value);
}

const silent = ["$schema", "title", "description", "definitions"];

function check(root: Schema, schema: Schema, value: unknown): boolean {
  // What stands beside a $ref does not count in draft 7.
  if (typeof schema.$ref === "string") return check(root, definition(root, schema.$ref), value);
  const valid = (each: unknown, of: unknown) => check(root, each as Schema, of);
  return Object.entries(schema).every(([keyword, given]) => {
    if (silent.includes(keyword)) return true;
    const rule = keywords[keyword];
    if (rule === undefined) throw new Error(`${keyword} is not known here`);
    return rule({ given, value, schema, valid });
  });
}

function definition(root: Schema, ref: string): Schema {
  const name = /^#\/definitions\/(\w+)$/.exec(ref)?.[1] ?? "";
  const found = (root.definitions as Record<string, Schema>)[name];
  if (found === undefined) throw new Error(`${ref} is not there`);
  return found;
}

interface Parts {
  given: unknown;
  value: unknown;
  schema: Schema;
  valid(schema: unknown, value: unknown): boolean;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const length = (value: unknown) => (value as { length: number }).length;
const list = (given: unknown) => given as readonly unknown[];

const keywords: Record<string, (parts: Parts) => boolean> = {
  type: ({ given, value }) => [given].flat().some((type) => isOf(String(type), value)),
  enum: ({ given, value }) => list(given).includes(value),
  const: ({ given, value }) => value === given,
  pattern: ({ given, value }) => typeof value !== "string" || new RegExp(String(given), "u").test(value),
  minLength: ({ given, value }) => typeof value !== "string" || length(value) >= Number(given),
  minimum: ({ given, value }) => typeof value !== "number" || value >= Number(given),
  maximum: ({ given, value }) => typeof value !== "number" || value <= Number(given),
  items: ({ given, value, valid }) => !Array.isArray(value) || value.every((item) => valid(given, item)),
  minItems: ({ given, value }) => !Array.isArray(value) || value.length >= Number(given),
  maxItems: ({ given, value }) => !Array.isArray(value) || value.length <= Number(given),
  required: ({ given, value }) => !isObject(value) || list(given).every((name) => Object.hasOwn(value, String(name))),
  minProperties: ({ given, value }) => !isObject(value) || Object.keys(value).length >= Number(given),
  maxProperties: ({ given, value }) => !isObject(value) || Object.keys(value).length <= Number(given),
  propertyNames: ({ given, value, valid }) =>
    !isObject(value) || Object.keys(value).every((name) => valid(given, name)),
  properties: ({ given, value, valid }) =>
    !isObject(value) ||
    Object.entries(given as Schema).every(([name, each]) => !Object.hasOwn(value, name) || valid(each, value[name])),
  additionalProperties: ({ given, value, schema, valid }) =>
    !isObject(value) ||
    Object.entries(value)
      .filter(([name]) => !Object.hasOwn((schema.properties as Schema | undefined) ?? {}, name))
      .every(([, each]) => given !== false && valid(given, each)),
  allOf: ({ given, value, valid }) => list(given).every((each) => valid(each, value)),
  anyOf: ({ given, value, valid }) => list(given).some((each) => valid(each, value)),
  oneOf: ({ given, value, valid }) => list(given).filter((each) => valid(each, value)).length === 1,
  not: ({ given, value, valid }) => !valid(given, value),
};

function isOf(type: string, value: unknown): boolean {
  if (type === "array") return Array.isArray(value);
  if (type === "object") return isObject(value);
  if (type === "integer") return Number.isInteger(value);
  return type === typeof value;
}
