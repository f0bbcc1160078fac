/** The ways in which a provider is unreachable, as its fake can be told. */
import type { AwsKmsFake, AwsKmsFaults } from "../fakes/aws-kms.ts";

export const modes = {
  refused: { mode: "refused" },
  hanging: { mode: "hanging" },
  resetting: { mode: "resetting" },
  failing: { mode: "503" },
  throttled: { throttled: 0.9 },
} as const satisfies Record<string, AwsKmsFaults>;

export type Mode = keyof typeof modes;
export const modeNames = Object.keys(modes) as Mode[];

/** Nothing gets through: all but the throttled one, where every tenth call does. */
export function isTotal(mode: Mode): boolean {
  return mode !== "throttled";
}

export function begin(mode: Mode, fake: AwsKmsFake): Promise<void> {
  return fake.fault(modes[mode]);
}
