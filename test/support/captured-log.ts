/** The log of services in this process, which pino writes to standard output: kept, and not written. */
import fs from "node:fs";
import { vi } from "vitest";

export interface CapturedLog {
  text(): string;
  restore(): void;
}

type Written = (error: Error | null, bytes: number) => void;

export function captureLog(): CapturedLog {
  const { write } = fs;
  let text = "";
  const spy = vi.spyOn(fs, "write").mockImplementation(((fd: number, data: string | Uint8Array, ...rest: unknown[]) => {
    if (fd !== 1) return (write as (...args: unknown[]) => void)(fd, data, ...rest);
    text += typeof data === "string" ? data : Buffer.from(data).toString();
    setImmediate(rest.at(-1) as Written, null, Buffer.byteLength(data));
  }) as typeof fs.write);
  return { text: () => text, restore: () => spy.mockRestore() };
}
