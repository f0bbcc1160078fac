/** The one script of `fluo-verify.html`. It runs twice: as the page, and as the worker that the page makes of its text. */
import { startPage } from "./page.ts";
import { serveVerification } from "./worker.ts";

if (typeof document === "undefined")
  serveVerification(globalThis as unknown as Parameters<typeof serveVerification>[0]);
else startPage(document.currentScript?.textContent ?? "");
