/** What a command found: a line for whatever is wrong, and how many checks there were. */

export interface Checks {
  /** Passes unless `work` throws. */
  check(what: string, work: () => void | Promise<void>): Promise<void>;
  /** Prints the last line, and gives the exit code. */
  end(): number;
}

export function newChecks(maxFailLines = Number.POSITIVE_INFINITY): Checks {
  let [passed, failed] = [0, 0];
  return {
    async check(what, work) {
      try {
        await work();
        passed += 1;
      } catch (error) {
        failed += 1;
        if (failed <= maxFailLines) print(`FAIL ${what}: ${oneLine((error as Error).message ?? String(error))}`);
      }
    },

    end() {
      print(`${passed} passed, ${failed} failed`);
      return failed > 0 || passed === 0 ? 1 : 0;
    },
  };
}

export function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

/** What the call failed with. Throws where it succeeds. */
export async function failureOf(call: Promise<unknown>): Promise<unknown> {
  return call.then(
    () => {
      throw new Error("succeeds, and should fail");
    },
    (error: unknown) => error,
  );
}

function oneLine(text: string): string {
  return text.replace(/\s*\n\s*/g, " ").slice(0, 1_000);
}
