/** What the front page says, in whatever form: nothing of the service's state that health does not tell without a credential. */

export interface FrontPage {
  name: string;
  purpose: string;
  state: State;
  sections: readonly Section[];
}

export interface State {
  kind: "ready" | "not-ready" | "ending";
  title: string;
  meaning: string;
}

export interface Section {
  title: string;
  entries: readonly Entry[];
  example?: Example;
}

export interface Example {
  intro: string;
  command: string;
}

export interface Entry {
  name: string;
  /** Relative to the page, which may be below a proxy's prefix, or of the documentation. */
  href?: string;
  meaning: string;
}

/** What the page says of this service. */
export interface Facts {
  state: State["kind"];
  grpcPort: number;
  /** Whether metrics are served without a credential. */
  openMetrics: boolean;
  /** Address of the page without a slash at its end; undefined where it cannot be known, and callers have credentials. */
  address: string | undefined;
}

export function pageOf(facts: Facts): FrontPage {
  return {
    name: "fluo-kms",
    purpose: "Key service of FLUO: signs compliance spans, encrypts PII, hands out data keys.",
    state: states[facts.state],
    sections: sectionsOf(facts),
  };
}

const states: Readonly<Record<State["kind"], State>> = {
  ready: { kind: "ready", title: "Ready", meaning: "Calls are served." },
  "not-ready": {
    kind: "not-ready",
    title: "Not ready",
    meaning: "Keys cannot be used now. The log says why, as does the command fluo-kms status.",
  },
  ending: {
    kind: "ending",
    title: "Shutting down",
    meaning: "This replica finishes the calls that it has, and ends.",
  },
};

const docs = "https://github.com/fluo-dev/fluo-kms/blob/main/docs";

function sectionsOf({ grpcPort, openMetrics, address }: Facts): Section[] {
  const metricsFor = openMetrics ? "" : ", with a credential that has the role metrics";
  return [
    {
      title: "API",
      entries: [
        { name: "gRPC", meaning: `Port ${grpcPort}, with health and reflection.` },
        { name: "Connect", meaning: "On this port: POST /fluo.kms.v1.KmsService/METHOD, as JSON or Protobuf." },
      ],
      example: exampleCall(address),
    },
    {
      title: "Health",
      entries: [
        linked("/q/health/ready", "200 if it is ready, else 503: for load balancers."),
        linked("/q/health/live", "200 while the process answers: for restarts."),
      ],
    },
    { title: "Metrics", entries: [linked("/q/metrics", `For Prometheus${metricsFor}.`)] },
    {
      title: "Documentation",
      entries: [
        { name: "Quickstart", href: `${docs}/QUICKSTART.md`, meaning: "From a first start to production." },
        { name: "API", href: `${docs}/API.md`, meaning: "Every call and path, with examples." },
        { name: "Authentication", href: `${docs}/AUTHENTICATION.md`, meaning: "Who may call, and by what credential." },
        {
          name: "Troubleshooting",
          href: `${docs}/KMS_TROUBLESHOOTING.md`,
          meaning: "What a failure means, and what to do.",
        },
      ],
    },
  ];
}

function linked(path: string, meaning: string): Entry {
  return { name: path, href: path.slice(1), meaning };
}

/** A call that changes nothing. */
function exampleCall(address: string | undefined): Example {
  const json = "-H 'content-type: application/json' -d '{}'";
  const command = (base: string, ...headers: string[]) =>
    [`curl -s "${base}/fluo.kms.v1.KmsService/Status"`, ...headers, json].join(" \\\n  ");
  return address === undefined
    ? {
        intro: "For example, with FLUO_KMS_ADDR such as https://kms.example.com, and a token that may ask for Status:",
        command: command("$FLUO_KMS_ADDR", '-H "authorization: Bearer $FLUO_KMS_TOKEN"'),
      }
    : { intro: "For example:", command: command(address) };
}
