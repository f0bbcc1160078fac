/**
 * A defect of V8 before Node 26.12.1 (encoding/json.ts): once JSON.parse has read a member `"\\"`, it takes the name `"\u00e9"` for a
 * backslash, in all that the process reads from then on.
 */

/** True if this process has the defect. The first name keeps what V8 learns by this to objects that begin with it. */
export function misreadsNames(): boolean {
  JSON.parse('{"fluo-kms self-test":1,"\\\\":1}');
  return !Object.hasOwn(JSON.parse('{"fluo-kms self-test":1,"\\u00e9":1}'), "é");
}

/** The first version without it. */
export const mendedNode = "26.12.1";

/** Text for operators of a process that has it. */
export const misreadText = `Node ${process.versions.node} misreads some names in JSON: callers' JSON is read by a parser of the service's own. Use Node ${mendedNode} or later.`;
