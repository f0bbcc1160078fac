/** Runs files in the order of `TEST_ORDER`, paths with blanks between them: to repeat what one worker did. */
import { BaseSequencer, type TestSpecification } from "vitest/node";

export const recordedOrder = process.env.TEST_ORDER?.split(" ");

export class RecordedOrder extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification) => recordedOrder!.indexOf(moduleId);
    return files.sort((a, b) => place(a) - place(b));
  }
}
