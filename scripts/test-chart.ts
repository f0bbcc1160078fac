/**
 * `npm run test:chart`: the Helm chart, by Helm itself, by the schemas of Kubernetes, and by the service's own reading of its settings.
 * Helm, kubeconform and kubernetes-validate are installed first, at fixed versions: tools/spec-suite.ts says how. `-- NAME` runs one file;
 * `-- golden -u` writes the committed renderings anew. The last line is `N passed, N failed`.
 */
import { helm, kubeconform, schemas } from "./tools/kubernetes/chart-tools.ts";
import { runSpecs, type Specs } from "./tools/spec-suite.ts";

const specs: Specs = {
  drill: [],
  schemas: [helm, kubeconform, schemas],
  gitops: [helm, kubeconform, schemas],
  golden: [helm],
  pods: [helm],
  refusals: [helm],
  settings: [helm],
  static: [helm],
};

process.exitCode = await runSpecs("chart", specs, process.argv.slice(2));
