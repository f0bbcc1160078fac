/** The suite of `npm run test:grpc-tools`, without authentication and under a policy; apart from `npm test`, as it needs Go. */
import { join } from "node:path";
import { defineConfig } from "vitest/config";
import { everySuite } from "../support/every-suite.ts";

const specs = ["test/grpc-tools/*.spec.ts"];
const strangers = "test/grpc-tools/policy/*.spec.ts";

export default defineConfig({
  test: {
    root: join(import.meta.dirname, "..", ".."),
    projects: [
      { extends: true, test: { name: "none", include: specs, provide: { access: "none" } } },
      { extends: true, test: { name: "policy", include: [...specs, strangers], provide: { access: "policy" } } },
    ],
    ...everySuite,
  },
});
