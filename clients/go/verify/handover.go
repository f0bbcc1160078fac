package verify

import (
	"bytes"
	"errors"
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// handover is an entry of a log that names the signing key that follows another, with its proof in a
// checkpoint that both signed. Nothing of it was verified yet.
type handover struct {
	entry []byte
	proof logProof
	to    verifierKey
}

// unusedHandover is one whose new key was announced and never came into use.
type unusedHandover struct {
	unprovenEntry
	origin string
}

// addHandover reads a handover. Releases of 0.1 list one that was not used among the others, with an empty proof.
func (k *KeySet) addHandover(given *members) error {
	entry, proofText := given.base64("entry"), given.text("proof")
	if given.err != nil {
		return given.err
	}
	if proofText == "" {
		return k.addUnusedHandover(given)
	}
	to, isHandover := parseHandover(entry)
	proof, isProof := parseLogProof(proofText)
	if !isHandover || !isProof {
		return errors.New(given.at + " is not a handover's entry and its log proof")
	}
	k.handovers = append(k.handovers, handover{entry: entry, proof: proof, to: to})
	return nil
}

func (k *KeySet) addUnusedHandover(given *members) error {
	entry := given.base64("entry")
	if _, ok := parseHandover(entry); !ok && given.err == nil {
		return errors.New(given.at + " is not a handover's entry")
	}
	k.unused = append(k.unused, unusedHandover{unprovenEntry{given.index("leaf_index"), tlog.RecordHash(entry)}, given.text("origin")})
	return given.err
}

// ErrVerifierKey says that a text is no verifier key.
var ErrVerifierKey = errors.New("a verifier key is NAME+ID+KEY, as the key set has them")

// Trusting returns the key set without what cannot be reached by handovers from the keys that vkeys are:
// C2SP verifier keys, NAME+ID+KEY, as the members vkeys of a key set have them. A handover of a key that was
// marked as compromised counts for nothing: it could hand over to anybody. A key that the
// set does not have adds nothing. The error is [ErrVerifierKey].
func (k *KeySet) Trusting(vkeys ...string) (*KeySet, error) {
	var first [][]byte
	for _, text := range vkeys {
		key, ok := parseVerifierKey(text)
		if !ok {
			return nil, ErrVerifierKey
		}
		first = append(first, key.publicKey)
	}
	return k.keeping(k.reachedFrom(first)), nil
}

// Has says whether the set has the key that vkey is, by the name of whatever log.
func (k *KeySet) Has(vkey string) bool {
	key, ok := parseVerifierKey(vkey)
	return ok && slices.ContainsFunc(k.logKeys, func(known *logKey) bool { return key.isSameKey(known.raw) })
}

// reachedFrom returns the public keys that are among the first ones, or that a chain of handovers leads to.
func (k *KeySet) reachedFrom(first [][]byte) [][]byte {
	trusted := first
	for {
		count := len(trusted)
		for _, each := range k.handovers {
			if !contains(trusted, each.to.publicKey) && k.isHandedOver(each, trusted) {
				trusted = append(trusted, each.to.publicKey)
			}
		}
		if len(trusted) == count {
			return trusted
		}
	}
}

func (k *KeySet) isHandedOver(h handover, trusted [][]byte) bool {
	signers, holds := h.proof.signersOf(k.logKeys)
	if !holds || h.to.name != h.proof.checkpoint.origin || !h.proof.includes(tlog.RecordHash(h.entry)) {
		return false
	}
	return slices.ContainsFunc(signers, func(key *logKey) bool {
		return key.reason() == OK && contains(trusted, key.raw)
	}) && slices.ContainsFunc(signers, func(key *logKey) bool { return h.to.isSameKey(key.raw) })
}

func (k *KeySet) keeping(trusted [][]byte) *KeySet {
	kept := *k
	kept.byID, kept.logKeys = map[string]*publicKey{}, nil
	ids := map[string]bool{}
	for _, key := range k.logKeys {
		if contains(trusted, key.raw) {
			kept.logKeys = append(kept.logKeys, key)
			ids[key.keyID] = true
		}
	}
	for id, key := range k.byID {
		if ids[id] {
			kept.byID[id] = key
		}
	}
	return &kept
}

func contains(keys [][]byte, key []byte) bool {
	return slices.ContainsFunc(keys, func(each []byte) bool { return bytes.Equal(each, key) })
}
