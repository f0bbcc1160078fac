/** A disk of backups that is full: the former backup stays, nothing else is left, and the reason names the backup, not the store. */
import { readdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { smallDisk, whyNoSmallDisk } from "../faults/small-disk.ts";
import { run } from "../support/cli-fixture.ts";
import { liveIn, sqlitePlace } from "../support/cli-store-fixture.ts";

const why = await whyNoSmallDisk();

describe.skipIf(why !== undefined)(
  `a disk of backups that is full${why === undefined ? "" : ` (skipped: ${why})`}`,
  () => {
    it("keeps the former backup, and takes the next once there is room", async () => {
      const where = sqlitePlace();
      await liveIn(where);
      const disk = await smallDisk(4 * 1_048_576);
      try {
        const { env } = where;
        const backUp = () => run(["backup", "--directory", disk.dir, "--keep", "1"], { env, enter: [...disk.enter] });
        const there = () => readdirSync(disk.outside).filter((name) => /^fluo-kms|\.new/.test(name));
        expect((await backUp()).code).toBe(0);
        const former = there();
        expect(former).toHaveLength(1);

        const filler = join(disk.outside, "filler");
        const { bsize, bavail } = statfsSync(disk.outside);
        writeFileSync(filler, Buffer.alloc(bsize * bavail - 65_536)); // what locks need
        const { code, out, err } = await backUp();
        expect({ code, out }).toEqual({ code: 1, out: "" });
        expect(err).toMatch(
          /^fluo-kms: the backup \S+\/fluo-kms-\S+\.db cannot be written: database or disk is full\n$/,
        );
        expect(there()).toEqual(former);

        disk.fill();
        expect((await backUp()).err).toMatch(
          /lock cannot be used \(database or disk is full\): make room on its disk\n$/,
        );
        expect(there()).toEqual(former);

        rmSync(filler);
        disk.free();
        expect((await backUp()).code).toBe(0);
        expect(there()).toHaveLength(1);
        expect(there()).not.toEqual(former);
      } finally {
        await disk.unmount();
      }
    });
  },
);
