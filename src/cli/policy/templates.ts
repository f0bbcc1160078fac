/**
 * Policies to begin with: a first administrator, and a rule as a pattern for the programs that will call. Lines
 * with `# yours` are to be changed.
 */

export interface FirstToken {
  sha256: string;
  /** Date such as 2027-06-30. */
  expires: string;
}

const head = `# Who may use this key service, and for what. What no rule gives is denied.
# After a change: fluo-kms policy check FILE, and fluo-kms policy diff OLD NEW for the review.
version: 1
`;

/**
 * Everything that an administrator does, but to destroy keys or to mark them compromised: another caller should
 * hold that.
 */
const administrator = `    roles: [status, metrics, operate, audit, key-admin]
    tenants: "*"
`;

export const templates = {
  /** One machine, or a small shop: static tokens. */
  local: ({ sha256, expires }: FirstToken) => `${head}tokens:
  - name: admin
    sha256: ${sha256}
    expires: ${expires}
rules:
  - name: admin
    who: { token: admin }
${administrator}# For each program that calls, a token by fluo-kms token new, and a rule:
#  - name: app
#    who: { token: app }
#    roles: [sign, encrypt]
#    tenants: [acme]
`,

  /** Pods, by service account tokens for the audience fluo-kms. */
  kubernetes: () => `${head}issuers:
  - name: cluster
    issuer: https://kubernetes.default.svc.cluster.local # yours: kubectl get --raw /.well-known/openid-configuration
    audience: fluo-kms
    jwks: https://kubernetes.default.svc/openid/v1/jwks
    ca: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
    token-file: /var/run/secrets/kubernetes.io/serviceaccount/token
rules:
  - name: admin
    who: { jwt: { issuer: cluster, subject: "system:serviceaccount:fluo-kms:admin" } } # yours: namespace and name
${administrator}# For each program that calls, by its namespace and service account:
#  - name: app
#    who: { jwt: { issuer: cluster, subject: "system:serviceaccount:shop:app" } }
#    roles: [sign, encrypt]
#    tenants: [acme]
`,

  /** Workloads with X509-SVIDs. */
  spiffe: () => `${head}certificates:
  - name: mesh
    trust-domain: example.org # yours
    ca: /run/spiffe/bundle.pem # yours: the trust bundle, kept up to date by spiffe-helper or the CSI driver
rules:
  - name: admin
    who: { spiffe: "spiffe://example.org/ns/fluo-kms/sa/admin" } # yours
${administrator}# For each program that calls, by its SPIFFE id:
#  - name: app
#    who: { spiffe: "spiffe://example.org/ns/shop/sa/app" }
#    roles: [sign, encrypt]
#    tenants: [acme]
`,

  /** People and programs of an identity provider, by access tokens for the audience fluo-kms. */
  oidc: () => `${head}issuers:
  - name: sso
    issuer: https://sso.example.org/realms/fluo # yours: the exact text of iss in its tokens
    audience: fluo-kms # yours: the exact text of aud, which names this service and no login client
rules:
  - name: admin
    who: { jwt: { issuer: sso, claims: { roles: kms-admin } } } # yours: a claim that users cannot change, or subject
${administrator}# For each program that calls, by the subject of its tokens:
#  - name: app
#    who: { jwt: { issuer: sso, subject: "AbC123@clients" } }
#    roles: [sign, encrypt]
#    tenants: [acme]
`,
} as const;

export type TemplateName = keyof typeof templates;
