/** A machine that loses its power whenever its service ends: what was not synced is gone, whole or in part. */
import { recordedFolder } from "../support/power-cut/recorded-folder.ts";
import type { Random } from "./random.ts";
import type { CrashService } from "./service.ts";

export interface PowerCuts {
  /** The folder that the service may write to. */
  path: string;
  /** Variables for the environment of the service. */
  env(): Record<string, string>;
  /** The service, at whose end the power goes. */
  cutAfter(service: CrashService): CrashService;
  /** What was written to the folder while no service ran is on the disk. */
  keep(): void;
  close(): void;
}

/** `cut` is told how many writes were not synced. */
export function powerCuts(random: Random, cut: (unsynced: number) => void): PowerCuts {
  const folder = recordedFolder();
  return {
    path: folder.path,
    env: folder.env,
    cutAfter(service) {
      const ended = service.ended.then((end) => {
        cut(folder.cut(random.next).unsynced);
        return end;
      });
      return { ...service, ended };
    },
    keep: folder.keep,
    close: () => folder[Symbol.dispose](),
  };
}
