/**
 * Reads requests as the service does, in a process that was taught to misread names first. A line of its input is the name of a message and
 * a body in base64; one of its output the digest of what the body says, and of the message. The first line is whether this process has the
 * defect, and the last how many of the texts JSON.parse misreads in it.
 */
import { text } from "node:stream/consumers";
import { toBinary } from "@bufbuild/protobuf";
import { readJson } from "../../src/encoding/json.ts";
import { misreadsNames } from "../../src/runtime/misread-names.ts";
import { checkedJson } from "../../src/transport/strict-json.ts";
import { digestOf } from "./digest.ts";
import { inputs, lessons } from "./json-requests.ts";

for (const each of lessons) JSON.parse(each);
const requests = (await text(process.stdin))
  .trimEnd()
  .split("\n")
  .map((line) => {
    const [typeName, body = ""] = line.split(" ");
    return { desc: inputs.get(typeName!)!, bytes: Buffer.from(body, "base64") };
  });

console.log(misreadsNames());
const said = requests.map(({ desc, bytes }) => `${digestOfValue(bytes, readJson)} ${digestOfMessage(desc, bytes)}`);
console.log(said.join("\n"));
const misread = requests.filter(({ bytes }) => {
  const read = digestOfValue(bytes, readJson);
  return read !== "refused" && digestOfValue(bytes, JSON.parse) !== read;
});
console.log(misread.length);

function digestOfValue(bytes: Uint8Array, read: (text: string) => unknown): string {
  try {
    return digestOf(read(new TextDecoder("utf-8", { fatal: true }).decode(bytes)));
  } catch {
    return "refused";
  }
}

function digestOfMessage(desc: Parameters<typeof toBinary>[0], bytes: Uint8Array): string {
  if (isReadOtherwise(bytes)) return "otherwise";
  try {
    return digestOf(Buffer.from(toBinary(desc, checkedJson(desc, bytes))).toString("hex"));
  } catch (error) {
    // Bytes of spans have one spelling, of which protobuf-es takes others.
    return (error as Error).message.endsWith("without white space or stray bits") ? "otherwise" : "refused";
  }
}

/** Whether protobuf-es takes a number for another one without a word, or refuses one for its spelling in a string. */
function isReadOtherwise(bytes: Uint8Array): boolean {
  let isRounded = /"-?\d+(?:\.\d+)?[eE][-+]?\d+"/.test(Buffer.from(bytes).toString("latin1"));
  digestOfValue(bytes, (text) =>
    readJson(text, (spelling) => {
      isRounded ||= String(Number(spelling)) !== spelling;
      return 0;
    }),
  );
  return isRounded;
}
