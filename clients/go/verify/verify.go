package verify

// Verify judges one span, given as wire bytes: an OTLP Resource, InstrumentationScope and Span. What was
// given to be signed must be given again; nil or empty for a resource or scope that there was none of.
// tenant is who must have signed; empty for whom the span names. evidence is what to check the span against,
// nil for the audit.integrity attributes on it.
func (k *KeySet) Verify(tenant string, resource, scope, span []byte, evidence Evidence) Verdict {
	whole, err := readWhole(resource, scope, span)
	return k.judge(tenant, whole, err, evidence, &noteCache{}).Verdict
}

// VerifyExport judges every span of an OTLP trace export in order: protobuf, JSON, or JSON lines, with ids in
// hex or base64. tenant is who must have signed; empty for whom each span names. A ResourceSpans that cannot be
// read is one MALFORMED verdict without ids. The error says that the bytes are no such export.
func (k *KeySet) VerifyExport(export []byte, tenant string) ([]Verdict, error) {
	spans, err := k.judgeExport(export, tenant)
	if err != nil {
		return nil, err
	}
	verdicts := make([]Verdict, len(spans))
	for i, span := range spans {
		verdicts[i] = span.Verdict
	}
	return verdicts, nil
}

func (k *KeySet) judgeExport(export []byte, tenant string) (spans []judged, err error) {
	messages, err := splitExport(export)
	if err != nil {
		return nil, err
	}
	var notes noteCache
	for _, message := range messages {
		err := message.err
		if err == nil {
			err = eachSpan(message.bytes, func(span wholeSpan, err error) {
				spans = append(spans, k.judge(tenant, span, err, nil, &notes))
			})
		}
		if err != nil {
			spans = append(spans, judged{Verdict: unreadable(err)})
		}
	}
	return spans, nil
}

// CanonicalForm returns what the digest of a span's statement is over, RFC 8785 JSON, of the wire bytes of an
// OTLP Resource, InstrumentationScope and Span. The error names the field that makes the span unreadable.
func CanonicalForm(resource, scope, span []byte) ([]byte, error) {
	resourceText, scopeText, lone, err := readParts(resource, scope, span)
	if err != nil {
		return nil, err
	}
	return canonicalForm(resourceText, scopeText, lone), nil
}

func readWhole(resource, scope, span []byte) (wholeSpan, error) {
	resourceText, scopeText, lone, err := readParts(resource, scope, span)
	if err != nil {
		return wholeSpan{}, err
	}
	return combine(resourceText, scopeText, lone), nil
}

func readParts(resource, scope, span []byte) (resourceText, scopeText []byte, lone loneSpan, err error) {
	if resourceText, err = readPart(resource, resourceMessage); err != nil {
		return nil, nil, lone, within(err, "resource")
	}
	if scopeText, err = readPart(scope, scopeMessage); err != nil {
		return nil, nil, lone, within(err, "scope")
	}
	lone, err = readSpan(span)
	return resourceText, scopeText, lone, within(err, "span")
}

func (k *KeySet) judge(tenant string, span wholeSpan, err error, evidence Evidence, notes *noteCache) (found judged) {
	if err != nil {
		return judged{Verdict: unreadable(err)}
	}
	if tenant == "" {
		tenant = span.integrity["tenant"]
	}
	claimed, refusal := claimOf(tenant, &span, evidence)
	switch {
	case claimed == nil:
		found.Verdict = refusal
	case claimed.proof == nil:
		found.Verdict = k.judgeSignature(claimed)
	default:
		found = k.judgeLog(claimed, notes)
	}
	found.TraceID, found.SpanID = span.traceID, span.spanID
	if k.passedOver > 0 && found.Reason == UnknownKey && found.Message == "" {
		found.Message = explanations[UnknownKey] + ", which has " + counted(k.passedOver, "key", "keys") + " of a kind that is unknown here"
	}
	return found
}
