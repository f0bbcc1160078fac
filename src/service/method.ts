/** What each service says of its methods, beside their handlers: how a call stands in the audit trail, and how its messages are read. */
import type { Audited, AuditedOther, AuditedUse, Handler, Used } from "../audit/audited.ts";

export interface Method<In, Out, Standing extends Audited<In> = Audited<In>> {
  audit: Standing;
  /** What is not there, the generic codec of protobuf-es does. */
  codec?: Partial<Codec<In, Out>>;
}

/** Reads a method's requests from wire bytes, and writes its answers. */
export interface Codec<In, Out> {
  /** Throws for what is no such request. */
  decode(bytes: Uint8Array): In;
  encode(answer: Out): Uint8Array;
  /** Whether requests or answers are values of the service's own, not messages of protobuf-es: JSON then goes by way of wire bytes. */
  own: boolean;
}

/** The methods of a service, by the names of their handlers. */
export type Methods<Handlers> = {
  readonly [Name in keyof Handlers]: Handlers[Name] extends Handler<infer In, infer Out> ? MethodOf<In, Out> : never;
};

type MethodOf<In, Out> = [Out] extends [Used<infer Answer>]
  ? Method<In, Answer, AuditedUse<In>>
  : Method<In, Out, AuditedOther<In>>;
