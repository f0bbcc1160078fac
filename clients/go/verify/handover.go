package verify

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// handover is an entry of a log that names the signing key that follows another, with its proof in a
// checkpoint that both signed. Nothing of it was verified yet.
type handover struct {
	entry []byte
	proof logProof
	to    verifierKey
}

func (k *KeySet) addHandovers(value any) error {
	list, err := listAt(value, "handovers")
	if err != nil {
		return err
	}
	for i, each := range list {
		at := fmt.Sprintf("handovers[%d]", i)
		members, ok := each.(*jsonObject)
		if !ok {
			return errors.New(at + " must be an object")
		}
		if err := k.addHandover(members, at); err != nil {
			return err
		}
	}
	return nil
}

func (k *KeySet) addHandover(members *jsonObject, at string) error {
	entryText, ok := members.get("entry").(string)
	entry, isBase64 := canonicalBase64(entryText)
	if !ok || !isBase64 {
		return errors.New(at + ".entry must be base64")
	}
	proofText, ok := members.get("proof").(string)
	if !ok {
		return errors.New(at + ".proof must be text")
	}
	to, isHandover := parseHandover(entry)
	if isHandover && proofText == "" {
		// The new key was announced and never came into use.
		if _, ok := members.get("origin").(string); !ok {
			return errors.New(at + ".origin must be text")
		}
		_, err := indexAt(members.get("leaf_index"), at+".leaf_index")
		return err
	}
	proof, isProof := parseLogProof(proofText)
	if !isHandover || !isProof {
		return errors.New(at + " is not a handover's entry and its log proof")
	}
	k.handovers = append(k.handovers, handover{entry: entry, proof: proof, to: to})
	return nil
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
	if !holds || h.to.name != h.proof.checkpoint.origin || !h.proof.includes(h.entry) {
		return false
	}
	return slices.ContainsFunc(signers, func(key *logKey) bool {
		return key.reason() == OK && contains(trusted, key.raw)
	}) && slices.ContainsFunc(signers, func(key *logKey) bool { return h.to.isSameKey(key.raw) })
}

func (k *KeySet) keeping(trusted [][]byte) *KeySet {
	kept := &KeySet{byID: map[string]*publicKey{}, handovers: k.handovers, passedOver: k.passedOver}
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
	return kept
}

func contains(keys [][]byte, key []byte) bool {
	return slices.ContainsFunc(keys, func(each []byte) bool { return bytes.Equal(each, key) })
}
