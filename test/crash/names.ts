/** States and purposes between the API's enums and our words. */

import type { Key } from "../../gen/ts/fluo/kms/v1/key_admin_pb.ts";
import { KeyPurpose, KeyState } from "../../gen/ts/fluo/kms/v1/key_pb.ts";
import type { AnsweredKey, Purpose, State } from "./ledger.ts";

export const purposeNumbers: Readonly<Record<Purpose, KeyPurpose>> = {
  data: KeyPurpose.DATA,
  signing: KeyPurpose.SIGNING,
};

export function purposeOf(purpose: KeyPurpose): Purpose {
  return purpose === KeyPurpose.SIGNING ? "signing" : "data";
}

/** Of an enum's number. */
export function nameIn(names: Readonly<Record<string, number>>, number: number): string {
  return Object.keys(names).find((name) => names[name] === number) ?? String(number);
}

export function answeredKey({ version, state }: Pick<Key, "version" | "state">): AnsweredKey {
  return {
    purpose: purposeOf(version!.purpose),
    keyId: version!.keyId,
    version: version!.version,
    state: nameIn(KeyState, state) as State,
  };
}
