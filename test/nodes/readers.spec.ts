/** Thousands of requests in JSON say the same to the service, to protobuf-es in another process, and to Python, whatever the process learnt before. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { misreadsNames } from "../../src/runtime/misread-names.ts";
import { isShort } from "../support/short.ts";
import { formerNode } from "./former-node.ts";
import { jsonRequests } from "./json-requests.ts";

const [seed, count] = [1, isShort ? 2_500 : 25_000];
const requests = jsonRequests(seed, count);
const input = requests.map(({ typeName, body }) => `${typeName} ${body.toString("base64")}\n`).join("");

function linesOf(command: string, program: string): string[] {
  const options = { input, encoding: "utf8", maxBuffer: 64 * 1024 * 1024 } as const;
  const { status, stdout, stderr } = spawnSync(command, [join(import.meta.dirname, program)], options);
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr}`);
  return stdout.trimEnd().split("\n");
}

/** Requests of which two readers say different things, as far as a person wants to read them. */
function differing(same: (index: number) => boolean): string[] {
  return requests.flatMap(({ typeName, body }, i) => (same(i) ? [] : [`${typeName} ${body}`])).slice(0, 5);
}

let python: string[];
let protobuf: string[];
beforeAll(() => {
  python = linesOf("python3", "read_json.py");
  protobuf = linesOf(process.execPath, "parse-requests.ts");
});

describe.each([
  ["Node 26.10, which misreads names", formerNode, true],
  ["the installed Node", process.execPath, misreadsNames()],
])("under %s", (_name, node, misreads) => {
  let values: string[];
  let messages: string[];
  let misread: number;
  beforeAll(() => {
    const [first, ...lines] = linesOf(node, "read-requests.ts");
    misread = Number(lines.pop());
    expect(first).toBe(String(misreads));
    values = lines.map((line) => line.split(" ")[0]!);
    messages = lines.map((line) => line.split(" ")[1]!);
    expect(lines).toHaveLength(count);
  });

  it("JSON.parse misreads many of them, or none", () => {
    // The more names a process has read, the more it misreads.
    if (misreads) expect(misread).toBeGreaterThan(isShort ? 0 : count / 100);
    else expect(misread).toBe(0);
  });

  it("they say what they say to Python, and the same ones are refused", () => {
    expect(differing((i) => values[i] === python[i])).toEqual([]);
    const refused = values.filter((each) => each === "refused").length;
    expect(refused).toBeGreaterThan(count / 20);
    expect(refused).toBeLessThan(count / 2);
  });

  // On a platform without another Node, protobuf-es would misread them itself.
  it.skipIf(misreadsNames())(
    "they are the messages that protobuf-es reads, unless it rounds a number, or refuses its spelling",
    () => {
      expect(differing((i) => messages[i] === protobuf[i] || messages[i] === "otherwise")).toEqual([]);
      expect(messages.filter((each) => each === "refused").length).toBeLessThan(count / 2);
      expect(messages.filter((each) => each === "otherwise").length).toBeLessThan(count / 20);
    },
  );
});
