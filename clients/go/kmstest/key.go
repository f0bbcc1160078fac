package kmstest

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
)

// The key of the project's public vectors, of every tenant.
const (
	keyID       = "00112233445566778899aabbccddeeff"
	dataKeyHex  = "9374efee4579412084cc45c00ffbd3c5ed22a2b98ca98c1c760e46ab4cbfdf1d"
	signingSeed = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
)

var (
	piiInputKey     = inputKey("fluo-kms/v1/pii")
	dataKeyInputKey = inputKey("fluo-kms/v1/data-key")
	signingKey      = privateKey{ed25519.NewKeyFromSeed(unhex(signingSeed))}
)

type privateKey struct{ ed25519.PrivateKey }

func (k privateKey) publicKey() []byte { return k.Public().(ed25519.PublicKey) }

func inputKey(info string) []byte {
	key, err := hkdf.Expand(sha512.New, unhex(dataKeyHex), info, 32)
	if err != nil {
		panic(err) // never of this length
	}
	return key
}

func unhex(text string) []byte {
	decoded, err := hex.DecodeString(text)
	if err != nil {
		panic(err) // of the constants above
	}
	return decoded
}

func base64url(raw []byte) string { return base64.RawURLEncoding.EncodeToString(raw) }
