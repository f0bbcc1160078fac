/**
 * Whether a policy of IAM allows a request to AWS KMS, as far as the policy of docs/ uses its language: statements with Allow, actions and
 * resources by their names, three operators. https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
 * and https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html#conditions-kms-encryption-context: of the name in
 * kms:EncryptionContext:name case does not count, in kms:EncryptionContextKeys it does.
 */
export interface Policy {
  Statement: { Effect: string; Action: string[]; Resource: string; Condition?: Conditions }[];
}

type Conditions = Record<string, Record<string, string | string[]>>;

export interface KmsRequest {
  operation: string;
  keyArn: string;
  context: Readonly<Record<string, string>>;
}

export function allows({ Statement }: Policy, { operation, keyArn, context }: KmsRequest): boolean {
  return Statement.some(({ Effect, Action, Resource, Condition = {} }) => {
    const isMeant = Effect === "Allow" && Action.includes(`kms:${operation}`) && Resource === keyArn;
    return isMeant && Object.entries(Condition).every(([operator, keys]) => holds(operator, keys, context));
  });
}

function holds(operator: string, keys: Conditions[string], context: KmsRequest["context"]): boolean {
  return Object.entries(keys).every(([key, wanted]) => {
    const values = [wanted].flat();
    switch (operator) {
      case "StringEquals":
        return valuesOf(key, context).some((value) => values.includes(value));
      case "StringLike":
        return valuesOf(key, context).some((value) => values.some((pattern) => isLike(value, pattern)));
      case "ForAllValues:StringEquals":
        return valuesOf(key, context).every((value) => values.includes(value));
      default:
        throw new Error(`the policy uses ${operator}, which is not known here`);
    }
  });
}

/** None where the request has no such key, which no single-valued operator matches. */
function valuesOf(key: string, context: KmsRequest["context"]): string[] {
  if (key === "kms:EncryptionContextKeys") return Object.keys(context);
  const [, name] = /^kms:EncryptionContext:(.+)$/.exec(key) ?? [];
  if (name === undefined) throw new Error(`the policy asks for ${key}, which is not known here`);
  return Object.entries(context).flatMap(([known, value]) => (known.toLowerCase() === name ? [value] : []));
}

function isLike(value: string, pattern: string): boolean {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`^${escaped.replaceAll("*", "[^]*").replaceAll("?", "[^]")}$`).test(value);
}
