/** An OTLP export to be signed: its spans, and the same export again, in its own form, with attributes on them. */
import { KmsError } from "../../errors.ts";
import { Failure } from "../command.ts";
import { type AboutSpan, aboutSpan, encodeParts, field, type Part, partsOf } from "./export-parts.ts";
import { type Attribute, withAttributes } from "./json-spans.ts";
import { readSpanFile, type SpanFile } from "../verify/span-file.ts";

export interface ExportFile {
  name: string;
  form: SpanFile["form"];
  spans: readonly ExportedSpan[];
  /** `attributes` has an entry for each span; a span without any is written as it was. */
  write(attributes: readonly (readonly Attribute[] | undefined)[]): Uint8Array | string[];
}

export interface ExportedSpan extends Pick<AboutSpan, "name"> {
  /** Always has a span. */
  part: Part;
  file: string;
  /** Counts the file's spans from 1. */
  number: number;
}

const attributeTag = 0x4a;
const [keyTag, valueTag, stringTag] = [0x0a, 0x12, 0x0a];

/** Throws a Failure for an export that cannot be read whole, and for one that is signed already. */
export function readExport(name: string, bytes: Uint8Array): ExportFile {
  const file = inFile(name, () => readSpanFile(bytes));
  const documents = file.form === "protobuf" ? [file] : file.documents;
  const parts = documents.map(({ messages }) => messages.flatMap((message) => inFile(name, () => partsIn(message))));
  const spans: ExportedSpan[] = [];
  for (const part of parts.flat()) {
    if (part.span === undefined) continue;
    spans.push({ part, file: name, number: spans.length + 1, name: unsignedName(part.span, name, spans.length + 1) });
  }
  return {
    name,
    form: file.form,
    spans,
    write(attributes) {
      if (file.form === "protobuf") return encodeParts(signedParts(parts.flat(), attributes));
      let at = 0;
      return file.documents.map(({ text }, i) => {
        const count = parts[i]!.filter(({ span }) => span !== undefined).length;
        at += count;
        return withAttributes(text, attributes.slice(at - count, at));
      });
    },
  };
}

function partsIn(message: Uint8Array | KmsError): Part[] {
  if (message instanceof KmsError) throw message;
  return partsOf(message);
}

/** The name of a span that may be signed. */
function unsignedName(span: Uint8Array, file: string, number: number): string {
  const { name, isSigned } = inFile(`${file}: span ${number}`, () => aboutSpan(span));
  if (isSigned)
    throw new Failure(
      `${file}: span ${number}, ${name}, has attributes of a signature already; sign the export as it was before`,
    );
  return name;
}

function signedParts(parts: readonly Part[], attributes: readonly (readonly Attribute[] | undefined)[]): Part[] {
  let at = 0;
  return parts.map((part) => {
    if (part.span === undefined) return part;
    const added = attributes[at] ?? [];
    at += 1;
    return { ...part, span: Buffer.concat([part.span, ...added.map(attributeField)]) };
  });
}

function attributeField([key, value]: Attribute): Uint8Array {
  const text = field(stringTag, Buffer.from(value));
  return field(attributeTag, field(keyTag, Buffer.from(key)), field(valueTag, text));
}

/** Throws a Failure with `where` in front in place of what is wrong there. */
function inFile<T>(where: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof KmsError || error instanceof Failure) throw new Failure(`${where}: ${error.message}`);
    throw error;
  }
}
