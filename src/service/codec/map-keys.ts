/**
 * Keys of a map that are in the bytes of a request twice. A reader of protobuf keeps the last, and another the first: what is authenticated
 * would depend on who reads it. So would it where a message within has another length than its fields, which protobuf-es lets pass.
 */
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { invalidField } from "../../errors.ts";

/** Throws INVALID_ARGUMENT where the bytes of `message` have more pairs than it has keys, and what else for a length that is wrong. */
export type KeyCheck = (bytes: Uint8Array, message: Message) => void;

/** Undefined where the message has no map. */
export function keyCheck(desc: DescMessage): KeyCheck | undefined {
  const maps = desc.fields.filter(({ fieldKind }) => fieldKind === "map");
  if (maps.length === 0) return undefined;
  const messages = messagesOf(desc);
  return (bytes, message) => {
    const keysOf = ({ localName }: DescField) =>
      Object.keys((message as unknown as Record<string, object>)[localName]!).length;
    if (maps.every((map) => keysOf(map) === 0)) return;
    const counts = new Map<number, number>();
    walk(bytes, messages, counts);
    for (const map of maps) {
      if ((counts.get(map.number) ?? 0) > keysOf(map)) throw invalidField(map.name, "has a key twice");
    }
  };
}

/** Fields that are messages, pairs of a map among them, by their numbers; and what is in those. */
interface Messages extends ReadonlyMap<number, Messages> {}

const noMessages: Messages = new Map();
const known = new WeakMap<DescMessage, Messages>();

function messagesOf(desc: DescMessage): Messages {
  const found = known.get(desc);
  if (found !== undefined) return found;
  const messages = new Map<number, Messages>();
  known.set(desc, messages);
  for (const { number, fieldKind, message } of desc.fields) {
    if (fieldKind === "map") messages.set(number, noMessages);
    else if (message) messages.set(number, messagesOf(message));
  }
  return messages;
}

/** Through all messages, each to its very end, counting those of the outermost. */
function walk(bytes: Uint8Array, messages: Messages, counts?: Map<number, number>): void {
  const reader = new BinaryReader(bytes);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const inner = wireType === WireType.LengthDelimited ? messages.get(number) : undefined;
    if (inner === undefined) reader.skip(wireType, number);
    else {
      walk(reader.bytes(), inner);
      counts?.set(number, (counts.get(number) ?? 0) + 1);
    }
  }
}
