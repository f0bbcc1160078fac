/** grpcurl, which the guides use and the service is tested with. */
import type { GoTool } from "./go.ts";

export const grpcurl: GoTool = {
  name: "grpcurl",
  module: "github.com/fullstorydev/grpcurl",
  package: "/cmd/grpcurl",
  version: "v1.9.4",
};
