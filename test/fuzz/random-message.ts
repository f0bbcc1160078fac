/** Messages from their descriptors alone. Where a field's name says what a value must look like to get far, it mostly does. */
import { create, type DescField, type DescMessage, type Message, ScalarType } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import type { Random } from "../crash/random.ts";

/** Values by the names of their fields, such as tokens that the service itself made. */
export type Samples = Readonly<Record<string, readonly unknown[]>>;

interface Making {
  random: Random;
  samples: Samples;
  /** Whether values may be such as are refused, or rare. */
  wild: boolean;
  depth: number;
}

const maxDepth = 5;
const tameTexts = ["a", "acme", "email", "GET /accounts", "Straße"];
const tameIntegers = [0, 1, 2, 3];
const texts = [
  "",
  "a",
  "acme",
  "GET /accounts",
  "Straße",
  "氏名",
  "🙂",
  "__proto__",
  "constructor",
  "\0",
  "a".repeat(300),
];
const integers = [0, 1, 2, 3, 7, 100, 1000, 0x7fff_ffff];

export function randomMessage(desc: DescMessage, making: Making): Message {
  const message = create(desc);
  const { random } = making;
  const inner = { ...making, depth: making.depth + 1 };
  const reflected = reflect(desc, message);
  for (const field of desc.fields) {
    if (!random.chance(making.depth === 0 ? 0.9 : 0.6)) continue;
    if (field.fieldKind === "list") {
      const items = random.chance(0.9) ? 1 + random.below(3) : random.below(40);
      if (inner.depth > maxDepth) continue;
      const list = reflected.get(field);
      for (let i = 0; i < items; i += 1) list.add(single(field, inner) as never);
    } else if (field.fieldKind === "map") {
      const map = reflected.get(field);
      for (let pairs = random.below(3); pairs > 0; pairs -= 1) {
        map.set(scalar(field.mapKey, "", inner) as never, single(field, inner) as never);
      }
    } else if (field.fieldKind !== "message" || inner.depth <= maxDepth)
      reflected.set(field, single(field, inner) as never);
  }
  return message;
}

function single(field: DescField, making: Making): unknown {
  const { random, samples, wild } = making;
  const known = samples[field.name];
  if (known !== undefined && field.fieldKind === "scalar" && random.chance(wild ? 0.8 : 1)) return random.pick(known);
  if (field.message) return reflect(field.message, randomMessage(field.message, making) as never);
  if (field.enum) return !wild || random.chance(0.9) ? random.pick(field.enum.values)!.number : 99;
  return scalar(field.scalar!, field.name, making);
}

function scalar(type: ScalarType, name: string, { random, wild }: Making): unknown {
  const integer = random.pick(wild ? integers : tameIntegers)!;
  switch (type) {
    case ScalarType.BOOL:
      return random.chance(0.5);
    case ScalarType.STRING:
      return random.pick(wild ? texts : tameTexts);
    case ScalarType.BYTES:
      return random.bytes(name === "trace_id" ? 16 : name.endsWith("span_id") ? 8 : random.below(40));
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return random.pick([0, -0, 1.5, Number.NaN, Infinity, integer]);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
      return wild && random.chance(0.5) ? -BigInt(integer) : BigInt(integer);
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return random.chance(0.5) ? 1_700_000_000_000_000_000n + BigInt(integer) : BigInt(integer);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return integer;
    default:
      return wild && random.chance(0.5) ? -integer : integer;
  }
}
