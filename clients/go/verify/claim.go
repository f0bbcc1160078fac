package verify

import (
	"crypto/ed25519"
	"regexp"
	"time"
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
		parts, ok := parseStatement(given.Statement)
		if !ok || parts.keyID != "" {
			return nil, Verdict{Reason: Malformed, Message: "the log proof's statement must be the exact text of the log's entry"}
		}
		proof, ok := parseLogProof(given.Proof)
		if !ok {
			return nil, Verdict{Reason: Malformed, Message: "the log proof must be the text of a tlog-proof"}
		}
		return claimOfStatement(tenant, span, parts, claim{statement: given.Statement, proof: &proof})
	case SignedStatement:
		parts, ok := parseStatement(given.Statement)
		if !ok || parts.keyID == "" || len(given.Statement) > maxStatementBytes {
			return nil, Verdict{Reason: Malformed, Message: "the signed statement must be the exact text that SignSpan returned"}
		}
		if len(given.Signature) != ed25519.SignatureSize {
			return nil, Verdict{Reason: Malformed, Message: "the signed statement's signature must have 64 bytes"}
		}
		return claimOfStatement(tenant, span, parts, claim{statement: given.Statement, signature: given.Signature})
	}
	return claimOfAttributes(tenant, span)
}

// claimOfStatement completes a claim by what its statement says.
func claimOfStatement(tenant string, span *wholeSpan, parts statement, found claim) (*claim, Verdict) {
	if parts.tenant != tenant {
		return nil, Verdict{Reason: UnknownKey, KeyID: parts.keyID, SignedAt: parts.signedAt, Message: "the statement names another tenant"}
	}
	found.keyID, found.signedAt = parts.keyID, parts.signedAt
	found.spanMatches = parts.traceID == span.traceID && parts.spanID == span.spanID && parts.digest == span.digest
	if !found.spanMatches {
		found.lacks = span.lacks
	}
	return &found, Verdict{}
}

var keyIDForm = regexp.MustCompile(`^[0-9a-f]{32}$`)

// claimOfAttributes rebuilds the statement from span and attributes, so that any change breaks signature or proof.
func claimOfAttributes(tenant string, span *wholeSpan) (*claim, Verdict) {
	given := span.integrity
	found := &claim{spanMatches: true, lacks: span.lacks}
	value, ok := canonicalBase64(given["value"])
	switch given["algorithm"] {
	case signatureAlgorithm:
		if !ok || len(value) != ed25519.SignatureSize {
			return nil, given.malformed("value")
		}
		found.signature, found.keyID = value, given["key_id"]
		if !keyIDForm.MatchString(found.keyID) {
			return nil, given.malformed("key_id")
		}
	case logProofAlgorithm:
		proof, isProof := parseLogProof(string(value))
		if !ok || !isProof {
			return nil, given.malformed("value")
		}
		if given.has("key_id") {
			return nil, given.malformed("key_id")
		}
		found.proof = &proof
	default:
		return nil, given.malformed("algorithm")
	}
	if found.signedAt, ok = canonicalSignedAt(given["signed_at"]); !ok {
		return nil, given.malformed("signed_at")
	}
	if !given.has("tenant") {
		return nil, given.malformed("tenant")
	}
	if given["tenant"] != tenant {
		return nil, Verdict{Reason: UnknownKey, KeyID: found.keyID, SignedAt: found.signedAt, Message: integrityPrefix + "tenant names another tenant"}
	}
	found.statement = span.statement(tenant, found.signedAt, found.keyID).text()
	return found, Verdict{}
}

func (s *wholeSpan) statement(tenant, signedAt, keyID string) statement {
	return statement{traceID: s.traceID, spanID: s.spanID, digest: s.digest, tenant: tenant, signedAt: signedAt, keyID: keyID}
}
