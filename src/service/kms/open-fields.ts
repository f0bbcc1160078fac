/** Opens the fields of a call, each by the key that its token names. A field that cannot be opened is a failure of its own. */
import type { EncryptedField } from "../../../gen/ts/fluo/kms/v1/pii_pb.ts";
import type { ItemError } from "../../../gen/ts/fluo/kms/v1/item_error_pb.ts";
import type { CallContext } from "../../call/context.ts";
import { openField, readToken, type SealedField } from "../../envelope/pii-field.ts";
import { hasCode, KmsError } from "../../errors.ts";
import type { Keyring } from "../../keys/keyring.ts";
import type { UsableDataKey } from "../../keys/usable-key.ts";
import type { KeyTimer } from "../key-timer.ts";
import { itemError } from "../messages.ts";
import { nextSlice, sliceFields } from "./field-slices.ts";

/** A value, which whoever got it overwrites or sends; or why there is none. */
export type Opened = Uint8Array | ItemError;

export interface Openings {
  /** Results in the order of the fields. */
  results: Opened[];
  /** Fields that were opened, by key id. */
  counts: Map<string, number>;
  refusals: { keyId: string; error: unknown }[];
}

export interface FieldsToOpen {
  tenantId: string;
  fields: readonly EncryptedField[];
  pairs: Uint8Array;
}

interface OpeningParts {
  keyring: Pick<Keyring, "dataKey">;
  keyTimer: KeyTimer;
}

/** Fields of one key are opened together, a slice of them in the turn in which it was got: later it may be evicted and overwritten. */
export async function openFields(parts: OpeningParts, given: FieldsToOpen, call: CallContext): Promise<Openings> {
  const { tenantId, fields } = given;
  const openings: Openings = { results: new Array(fields.length), counts: new Map(), refusals: [] };
  const byKey = sealedByKey(fields, openings);
  try {
    let sinceTurn = 0;
    for (const [keyId, group] of byKey) {
      for (let from = 0; from < group.length; from += sliceFields) {
        const slice = group.slice(from, from + sliceFields);
        sinceTurn += slice.length;
        if (sinceTurn > sliceFields) {
          await nextSlice(call);
          sinceTurn = slice.length;
        }
        const key = await keyOrError(parts, { tenantId, keyId }, call);
        const count = openGroup(key, keyId, slice, given, openings);
        if (count > 0) openings.counts.set(keyId, (openings.counts.get(keyId) ?? 0) + count);
      }
    }
    return openings;
  } catch (error) {
    overwrite(openings.results);
    throw error;
  }
}

interface Sealed {
  index: number;
  sealed: SealedField;
}

function sealedByKey(fields: readonly EncryptedField[], openings: Openings): Map<string, Sealed[]> {
  const byKey = new Map<string, Sealed[]>();
  fields.forEach(({ token }, index) => {
    try {
      const sealed = readToken(token);
      const group = byKey.get(sealed.keyId);
      if (group) group.push({ index, sealed });
      else byKey.set(sealed.keyId, [{ index, sealed }]);
    } catch (error) {
      refuse(openings, index, "", error);
    }
  });
  return byKey;
}

/** Returns how many were opened. */
function openGroup(
  key: UsableDataKey | KmsError,
  keyId: string,
  group: readonly Sealed[],
  { tenantId, fields, pairs }: FieldsToOpen,
  openings: Openings,
): number {
  let count = 0;
  for (const { index, sealed } of group) {
    try {
      if (key instanceof KmsError) throw key;
      const place = { tenantId, name: fields[index]!.name, contextPairs: pairs };
      openings.results[index] = openField(key.material, place, sealed);
      count += 1;
    } catch (error) {
      refuse(openings, index, keyId, error);
    }
  }
  return count;
}

function refuse({ results, refusals }: Openings, index: number, keyId: string, error: unknown): void {
  results[index] = fieldError(error, index);
  refusals.push({ keyId, error });
}

async function keyOrError(
  { keyring, keyTimer }: OpeningParts,
  { tenantId, keyId }: { tenantId: string; keyId: string },
  call: CallContext,
): Promise<UsableDataKey | KmsError> {
  try {
    return await keyTimer.encryption(() => keyring.dataKey(tenantId, keyId, call));
  } catch (error) {
    if (error instanceof KmsError) return error;
    throw error;
  }
}

/** A token or key that will not do is the failure of its field; a provider, store or caller that is gone is the call's. */
function fieldError(error: unknown, index: number): ItemError {
  if (!hasCode(error, "INVALID_ARGUMENT", "CIPHERTEXT_REJECTED", "KEY_UNUSABLE", "PROVIDER_DENIED", "DATA_LOSS"))
    throw error;
  return itemError(error, `fields[${index}].token`);
}

export function overwrite(opened: readonly Opened[]): void {
  for (const result of opened) if (result instanceof Uint8Array) result.fill(0);
}
