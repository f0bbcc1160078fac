package verify

import (
	"crypto/ed25519"
	"encoding/hex"
)

// smallOrder has the y coordinates of the points of order 1, 2, 4 and 8, little-endian, without the sign bit.
var smallOrder = map[string]bool{
	"0000000000000000000000000000000000000000000000000000000000000000": true,
	"0100000000000000000000000000000000000000000000000000000000000000": true,
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05": true,
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a": true,
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f": true,
}

// verifySignature refuses public keys that are small-order points or not canonical, as the service does:
// under such a key a signature can fit many messages, and Go's own Verify takes them.
func verifySignature(publicKey, message, signature []byte) bool {
	return len(publicKey) == ed25519.PublicKeySize && len(signature) == ed25519.SignatureSize &&
		!isWeakPoint(publicKey) && !isWeakPoint(signature[:ed25519.PublicKeySize]) &&
		ed25519.Verify(publicKey, message, signature)
}

func isWeakPoint(encoded []byte) bool {
	y := append([]byte(nil), encoded...)
	y[31] &= 0x7f
	return smallOrder[hex.EncodeToString(y)] || isNotCanonical(y)
}

// isNotCanonical says whether y is 2^255 - 19 or more: 0xed … 0xff, then 0xff throughout.
func isNotCanonical(y []byte) bool {
	if y[0] < 0xed || y[31] != 0x7f {
		return false
	}
	for _, b := range y[1:31] {
		if b != 0xff {
			return false
		}
	}
	return true
}
