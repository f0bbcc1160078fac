package verify

import (
	"regexp"
	"time"
	"unicode/utf8"
)

const (
	signatureAlgorithm = "EdDSA"
	// Replicas' clocks may differ by this much, so a signature may be that much older than its key.
	clockTolerance = time.Minute
)

// Evidence is what a span is checked against, instead of its attributes: a [SignedStatement] or a [LogProof].
type Evidence interface{ isEvidence() }

// SignedStatement is a detached statement and its signature, as SignSpan returns them.
type SignedStatement struct {
	// Statement is the exact text that was signed, canonical JSON.
	Statement []byte
	// Signature has 64 bytes: Ed25519 over the statement's DSSE pre-authentication encoding.
	Signature []byte
}

// LogProof is a span's proof of presence in its tenant's log.
type LogProof struct {
	// Statement is the log's entry: the span's in-toto statement in log mode, canonical JSON.
	Statement []byte
	// Proof is C2SP tlog-proof text.
	Proof string
}

func (SignedStatement) isEvidence() {}
func (LogProof) isEvidence()        {}

// claim is what is left to judge once the form was looked at: an individual signature, or a place in a log.
type claim struct {
	signedAt string
	// statement is what was signed, or the entry of the log.
	statement []byte
	// spanMatches says whether that is about this span.
	spanMatches bool
	// lacks says what may be why the span does not match.
	lacks string

	// Parts of an individual signature.
	keyID     string
	signature []byte

	// Parts of a log proof.
	proof *logProof
}

// claimOf returns what there is to judge, or the verdict where that needs no key. Evidence beside the span
// counts before the attributes on it. The checks are in the order of the reasons where several hold: form,
// tenant.
func claimOf(tenant string, span *wholeSpan, evidence Evidence) (*claim, Verdict) {
	switch given := evidence.(type) {
	case LogProof:
		return claimOfLogEntry(tenant, span, given)
	case SignedStatement:
		return claimOfStatement(tenant, span, given)
	}
	if orEmpty(span.integrity.algorithm) == logProofAlgorithm {
		return logClaimOfAttributes(tenant, span)
	}
	return claimOfAttributes(tenant, span)
}

var keyIDForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// claimOfAttributes rebuilds the statement from span and attributes, so that any change breaks the signature.
func claimOfAttributes(tenant string, span *wholeSpan) (*claim, Verdict) {
	given := &span.integrity
	if orEmpty(given.algorithm) != signatureAlgorithm {
		return nil, given.malformed("algorithm")
	}
	signature, ok := canonicalBase64(orEmpty(given.value))
	if !ok || len(signature) != 64 {
		return nil, given.malformed("value")
	}
	keyID := orEmpty(given.keyID)
	if !keyIDForm.MatchString(keyID) {
		return nil, given.malformed("key_id")
	}
	signedAt, ok := canonicalSignedAt(orEmpty(given.signedAt))
	if !ok {
		return nil, given.malformed("signed_at")
	}
	if given.tenant == nil {
		return nil, given.malformed("tenant")
	}
	if *given.tenant != tenant {
		return nil, otherTenant(Verdict{KeyID: keyID, SignedAt: signedAt})
	}
	s := span.statement(tenant, signedAt)
	s.keyID = keyID
	return &claim{keyID: keyID, signedAt: signedAt, statement: s.signed(), signature: signature, spanMatches: true,
		lacks: span.lacks}, Verdict{}
}

// claimOfStatement takes the canonical text alone.
func claimOfStatement(tenant string, span *wholeSpan, given SignedStatement) (*claim, Verdict) {
	parts, ok := parseSigned(given.Statement)
	if !ok {
		return nil, Verdict{Reason: Malformed, Message: "the signed statement must be the exact text that SignSpan returned"}
	}
	if len(given.Signature) != 64 {
		return nil, Verdict{Reason: Malformed, Message: "the signed statement's signature must have 64 bytes"}
	}
	if parts.tenant != tenant {
		return nil, otherTenant(Verdict{KeyID: parts.keyID, SignedAt: parts.signedAt})
	}
	found := &claim{keyID: parts.keyID, signedAt: parts.signedAt, statement: given.Statement, signature: given.Signature}
	found.compare(span, parts)
	return found, Verdict{}
}

func logClaimOfAttributes(tenant string, span *wholeSpan) (*claim, Verdict) {
	given := &span.integrity
	text, ok := canonicalBase64(orEmpty(given.value))
	if !ok || !utf8.Valid(text) {
		return nil, given.malformed("value")
	}
	proof, ok := parseLogProof(string(text))
	if !ok {
		return nil, given.malformed("value")
	}
	if given.keyID != nil {
		return nil, given.malformed("key_id")
	}
	signedAt, ok := canonicalSignedAt(orEmpty(given.signedAt))
	if !ok {
		return nil, given.malformed("signed_at")
	}
	if given.tenant == nil {
		return nil, given.malformed("tenant")
	}
	if *given.tenant != tenant {
		return nil, otherTenant(Verdict{SignedAt: signedAt})
	}
	return &claim{proof: &proof, signedAt: signedAt, statement: span.statement(tenant, signedAt).entry(), spanMatches: true,
		lacks: span.lacks}, Verdict{}
}

func claimOfLogEntry(tenant string, span *wholeSpan, given LogProof) (*claim, Verdict) {
	parts, ok := parseEntry(given.Statement)
	if !ok {
		return nil, Verdict{Reason: Malformed, Message: "the log proof's statement must be the exact text of the log's entry"}
	}
	proof, ok := parseLogProof(given.Proof)
	if !ok {
		return nil, Verdict{Reason: Malformed, Message: "the log proof must be the text of a tlog-proof"}
	}
	if parts.tenant != tenant {
		return nil, otherTenant(Verdict{SignedAt: parts.signedAt})
	}
	found := &claim{proof: &proof, signedAt: parts.signedAt, statement: given.Statement}
	found.compare(span, parts)
	return found, Verdict{}
}

func (c *claim) compare(span *wholeSpan, s statement) {
	c.spanMatches = s.traceID == span.traceID && s.spanID == span.spanID && s.digest == span.digest
	if !c.spanMatches {
		c.lacks = span.lacks
	}
}

func (s *wholeSpan) statement(tenant, signedAt string) statement {
	return statement{traceID: s.traceID, spanID: s.spanID, digest: s.digest, tenant: tenant, signedAt: signedAt}
}

func otherTenant(verdict Verdict) Verdict {
	verdict.Reason = UnknownKey
	verdict.Message = integrityPrefix + "tenant names another tenant"
	return verdict
}
