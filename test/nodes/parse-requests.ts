/** Reads requests by protobuf-es alone, as read-requests.ts reads them. A line of its output is the digest of a message, or `refused`. */
import { text } from "node:stream/consumers";
import { fromJsonString, toBinary } from "@bufbuild/protobuf";
import { digestOf } from "./digest.ts";
import { inputs } from "./json-requests.ts";

for (const line of (await text(process.stdin)).trimEnd().split("\n")) {
  const [typeName, body = ""] = line.split(" ");
  console.log(digestOfMessage(inputs.get(typeName!)!, Buffer.from(body, "base64")));
}

function digestOfMessage(desc: Parameters<typeof toBinary>[0], bytes: Uint8Array): string {
  try {
    const json = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return digestOf(Buffer.from(toBinary(desc, fromJsonString(desc, json))).toString("hex"));
  } catch {
    return "refused";
  }
}
