package verify

import (
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// judged is a span with what there is to say of it alone.
type judged struct {
	Verdict
	// place is what it claims in a log; nil for other evidence.
	place *place
}

type place struct {
	proof *logProof
	// leaf is the hash of the log's entry.
	leaf tlog.Hash
	// signers are the known keys that signed the checkpoint.
	signers []*logKey
}

// judgeSignature says what the keys make of an individual signature.
//
// The order of the checks, which is the order of the reasons where several hold:
// the key (UNKNOWN_KEY); a key that never became active (KEY_STATE); the signature (SIGNATURE_MISMATCH); the
// span (SPAN_MISMATCH); whether the key was marked as compromised (KEY_COMPROMISED), its times (KEY_STATE).
// The signature comes before the state, so that an altered span is called altered whatever became of its key.
func (k *KeySet) judgeSignature(c *claim) Verdict {
	key, ok := k.byID[c.keyID]
	if !ok {
		return Verdict{Reason: UnknownKey, KeyID: c.keyID, SignedAt: c.signedAt}
	}
	reason := c.reasonOfSignature(key)
	return Verdict{Verified: reason == OK, Reason: reason, KeyID: c.keyID, KeyState: key.state, SignedAt: c.signedAt,
		Message: mismatch(reason, c.lacks)}
}

func (c *claim) reasonOfSignature(key *publicKey) Reason {
	ofKey := key.reason()
	if ofKey == KeyState {
		return KeyState
	}
	if !verifySignature(key.raw, preAuthenticationEncoding(c.statement), c.signature) {
		return SignatureMismatch
	}
	if !c.spanMatches {
		return SpanMismatch
	}
	if signedAt, _ := signedAtTime(c.signedAt); ofKey == OK && !key.isValidAt(signedAt) {
		return KeyState
	}
	return ofKey
}

// judgeLog checks, in this order: the checkpoint's signatures (PROOF_INVALID); that a key of the tenant
// signed (UNKNOWN_KEY); for each of these that it became active (KEY_STATE), the path (PROOF_INVALID), the span
// (SPAN_MISMATCH), and whether it is marked as compromised (KEY_COMPROMISED). One that is OK is enough. When a
// key was in use means nothing here: a later checkpoint proves an earlier entry.
func (k *KeySet) judgeLog(c *claim, notes *noteCache) judged {
	verdict := Verdict{Reason: UnknownKey, SignedAt: c.signedAt}
	signers, holds := notes.signersOf(c.proof, k.logKeys)
	leaf := tlog.RecordHash(c.statement)
	switch {
	case !holds:
		verdict.Reason, verdict.Message = ProofInvalid, "a signature of the proof's checkpoint does not hold"
	case len(signers) > 0:
		isIncluded := c.proof.includes(leaf)
		reasons := make([]Reason, len(signers))
		for i, key := range signers {
			reasons[i] = c.reasonOfLog(key, isIncluded)
		}
		best := max(0, slices.Index(reasons, OK))
		reason, key := reasons[best], signers[best]
		verdict = Verdict{Verified: reason == OK, Reason: reason, KeyID: key.keyID, KeyState: key.state, SignedAt: c.signedAt,
			Message: mismatch(reason, c.lacks)}
	}
	verdict.Log, verdict.LeafIndex = c.proof.checkpoint.origin, uint64(c.proof.index)
	return judged{verdict, &place{c.proof, leaf, signers}}
}

func (c *claim) reasonOfLog(key *logKey, isIncluded bool) Reason {
	ofKey := key.reason()
	switch {
	case ofKey == KeyState:
		return KeyState
	case !isIncluded:
		return ProofInvalid
	case !c.spanMatches:
		return SpanMismatch
	case ofKey == KeyCompromised && key.compromisedLog != nil && *key.compromisedLog == c.proof.checkpoint:
		// The very head that was recorded when the key was marked: it is not the compromised key that proves it.
		return OK
	}
	return ofKey
}

// noteCache remembers the last note: the spans of a batch have one checkpoint, whose signature is checked once.
type noteCache struct {
	whole   string
	signers []*logKey
	holds   bool
}

func (n *noteCache) signersOf(proof *logProof, keys []*logKey) ([]*logKey, bool) {
	if n.whole != proof.note.whole {
		n.whole = proof.note.whole
		n.signers, n.holds = proof.signersOf(keys)
	}
	return n.signers, n.holds
}
