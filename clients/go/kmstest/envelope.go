package kmstest

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/fluo-dev/fluo-kms/clients/go/internal/sealedfile"
)

// An envelope is `version 0x01 ‖ kind ‖ key_id (16) ‖ Cobblestone-256`. Its context is its header, the first 18 bytes,
// and the canonical context.
const (
	envelopeVersion = 1
	piiKind         = 1
	dataKeyKind     = 2
	subjectKind     = 3
	headerBytes     = 18
	tokenPrefix     = "fk1."
	maxValueBytes   = 64 << 10
	// Of a sealed value of 64 KiB: salt, commitment, five chunks' tags.
	maxEnvelopeBytes = headerBytes + 24 + 32 + maxValueBytes + 5*16
)

var errRejected = errors.New("ciphertext rejected")

func header(kind byte) []byte {
	return append([]byte{envelopeVersion, kind}, unhex(keyID)...)
}

func seal(kind byte, inputKey, context, plaintext []byte) ([]byte, error) {
	head := header(kind)
	var ciphertext bytes.Buffer
	if err := sealedfile.SealMessage(&ciphertext, bytes.NewReader(plaintext), inputKey, slices.Concat(head, context), nil); err != nil {
		return nil, err
	}
	return append(head, ciphertext.Bytes()...), nil
}

// open returns errRejected for whatever is wrong.
func open(kind byte, inputKey, context, envelope []byte) ([]byte, error) {
	head := header(kind)
	if len(envelope) > maxEnvelopeBytes || !bytes.HasPrefix(envelope, head) {
		return nil, errRejected
	}
	opened := bytes.NewBuffer([]byte{}) // the value of an empty field is there
	if err := sealedfile.OpenMessage(opened, bytes.NewReader(envelope[headerBytes:]), inputKey, slices.Concat(head, context)); err != nil {
		return nil, errRejected
	}
	return opened.Bytes(), nil
}

// Prefixes that are reserved, and for what.
var reservedPrefixes = map[string]string{
	"fl1.": "what a client library seals and opens by itself",
	"fh1.": "public-key sealing",
	"fp1.": "public-key sealing",
	"fb1.": "blind indexes",
}

// decodeToken returns the envelope of a token in its one spelling.
func decodeToken(token string) ([]byte, error) {
	if purpose := reservedPrefixes[token[:min(len(token), len(tokenPrefix))]]; purpose != "" {
		return nil, errors.New(token[:len(tokenPrefix)] + " is for " + purpose + "; the service opens what EncryptPii gives")
	}
	text, ok := strings.CutPrefix(token, tokenPrefix)
	if !ok {
		return nil, errRejected
	}
	envelope, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || base64url(envelope) != text {
		return nil, errRejected
	}
	if len(envelope) >= 2 && envelope[0] == envelopeVersion && envelope[1] == subjectKind {
		return nil, errors.New("kind 3 of fk1. is for tokens of subjects; the service opens what EncryptPii gives")
	}
	return envelope, nil
}

// canonicalContext binds a ciphertext to its tenant, to the name of its field, empty for a data key, and to the pairs.
func canonicalContext(tenant, field string, pairs map[string]string) []byte {
	out := appendText(appendText([]byte("fluo-kms/context/v1"), tenant), field)
	out = binary.BigEndian.AppendUint32(out, uint32(len(pairs)))
	for _, key := range slices.Sorted(maps.Keys(pairs)) {
		out = appendText(appendText(out, key), pairs[key])
	}
	return out
}

func appendText(out []byte, text string) []byte {
	return append(binary.BigEndian.AppendUint32(out, uint32(len(text))), text...)
}
