/**
 * The transit key as it was last seen. A key of the same name whose versions were made at other times is another: it
 * was made after the deletion of the known one, opens nothing that that wrapped, and is refused until the known one is
 * back.
 */
import { KmsError } from "../../errors.ts";
import type { ProviderKeyReport, ProviderKeyState } from "../provider.ts";
import { missingKeyAdvice, policyAdvice } from "./advice.ts";
import type { KeyReading, Transit } from "./client.ts";
import { isSameKey, unfit, type VaultKey } from "./key.ts";
import { pathsOf } from "./paths.ts";
import { keyAdvice, rotationOf, stateOf } from "./report.ts";
import type { VaultSettings } from "./settings.ts";

export interface KnownKey {
  /** Reads the key, which tells whether it was replaced. */
  read(signal?: AbortSignal): Promise<KeyReading>;
  latestVersion(): number;
  /** PROVIDER_DENIED while another key has its name. */
  refuseReplaced(): void;
  /** State of the key as the latest reading has it. */
  stateIn(reading: KeyReading): ProviderKeyState;
  reportOf(reading: KeyReading): ProviderKeyReport;
}

/** `opened` is the key as it was when it was opened. */
export function knownKey(settings: VaultSettings, calls: Pick<Transit, "read">, opened: VaultKey): KnownKey {
  const { keys: path } = pathsOf(settings);
  let known = opened;
  let isReplaced = false;

  function stateIn({ key, clockSkewMs }: KeyReading): ProviderKeyState {
    const disabled = (detail: string) => ({ state: "disabled", detail, clockSkewMs }) as const;
    if (key === undefined) return disabled("missing");
    if (isReplaced) return disabled("replaced by another of its name");
    if (unfit(settings, key) !== undefined) return disabled(`of type ${key.type}`);
    return { ...stateOf(key), clockSkewMs };
  }

  function replacedAdvice(): string {
    return `The key ${path} was replaced by another: delete that one and restore the former. ${missingKeyAdvice(settings)} ${policyAdvice(settings)}`;
  }

  return {
    async read(signal) {
      const reading = await calls.read(signal);
      if (reading.key !== undefined) {
        isReplaced = !isSameKey(known, reading.key);
        if (!isReplaced) known = reading.key;
      }
      return reading;
    },
    latestVersion: () => known.latestVersion,
    refuseReplaced() {
      if (!isReplaced) return;
      throw new KmsError("PROVIDER_DENIED", `provider vault has another key at ${path} than before`, {
        advice: replacedAdvice(),
      });
    },
    stateIn,
    reportOf(reading) {
      const { key } = reading;
      return {
        ...stateIn(reading),
        rotation: key && rotationOf(key),
        advice: [
          ...(key === undefined ? [missingKeyAdvice(settings)] : keyAdvice(settings, key)),
          ...(isReplaced ? [replacedAdvice()] : []),
        ],
      };
    },
  };
}
