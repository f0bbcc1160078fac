/** The Helm that the chart is tested with, and that its guide uses. */
import type { GoTool } from "./go.ts";

export const helm: GoTool = { name: "helm", module: "helm.sh/helm/v4", package: "/cmd/helm", version: "v4.3.1" };
