package sealedfile

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"io"
	"math"
)

const (
	keyBytes        = 32
	saltBytes       = 24
	commitmentBytes = 32
	nonceBytes      = 12
	tagBytes        = 16
	chunkBytes      = 16_384
	sealedChunk     = chunkBytes + tagBytes
	// The last chunk's number is below this.
	maxChunks = math.MaxUint32
)

const infoLabel = "c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\x00"

// chunks seals or opens the chunks of one message of Cobblestone-256: C2SP chunked-encryption with SHA-512 and
// AES-256-GCM. A message is `salt (24) ‖ commitment (32) ‖ chunks`, each chunk 16 KiB of plaintext and a tag,
// the last one always shorter and perhaps empty: that is what marks the end.
type chunks struct {
	aead       cipher.AEAD
	baseNonce  [nonceBytes]byte
	commitment [commitmentBytes]byte
	next       uint64
}

var errTooLong = errors.New("the file is too long: it has 2^32 chunks of 16 KiB, or more")

// newChunks derives a message's secrets. inputKey has 32 uniformly random bytes.
func newChunks(inputKey, salt, context []byte) (*chunks, error) {
	info := infoLabel + string(salt) + string(context)
	derived, err := hkdf.Expand(sha512.New, inputKey, info, keyBytes+nonceBytes+commitmentBytes)
	if err != nil {
		return nil, err
	}
	defer clear(derived)
	block, err := aes.NewCipher(derived[:keyBytes])
	if err != nil {
		return nil, err
	}
	c := &chunks{}
	if c.aead, err = cipher.NewGCM(block); err != nil {
		return nil, err
	}
	copy(c.baseNonce[:], derived[keyBytes:])
	copy(c.commitment[:], derived[keyBytes+nonceBytes:])
	return c, nil
}

// nonce is the base nonce XOR the chunk's number, big-endian.
func (c *chunks) nonce() ([]byte, error) {
	if c.next >= maxChunks {
		return nil, errTooLong
	}
	nonce := c.baseNonce
	low := nonce[nonceBytes-8:]
	binary.BigEndian.PutUint64(low, binary.BigEndian.Uint64(low)^c.next)
	c.next++
	return nonce[:], nil
}

// seal writes a message; salt is drawn unless a test gives one.
func seal(to io.Writer, from io.Reader, inputKey, context, salt []byte) error {
	if salt == nil {
		salt = make([]byte, saltBytes)
		if _, err := rand.Read(salt); err != nil {
			return err
		}
	}
	c, err := newChunks(inputKey, salt, context)
	if err != nil {
		return err
	}
	if _, err := to.Write(bytes.Join([][]byte{salt, c.commitment[:]}, nil)); err != nil {
		return err
	}
	return c.each(from, chunkBytes, 0, to, func(out, nonce, chunk []byte) ([]byte, error) {
		return c.aead.Seal(out, nonce, chunk, nil), nil
	})
}

// open writes authentic prefixes of the plaintext, and returns ErrNotAuthentic unless the message was whole.
func open(to io.Writer, from io.Reader, inputKey, context []byte) error {
	var prefix [saltBytes + commitmentBytes]byte
	if err := readFull(from, prefix[:]); err != nil {
		return err
	}
	c, err := newChunks(inputKey, prefix[:saltBytes], context)
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(c.commitment[:], prefix[saltBytes:]) != 1 {
		return ErrNotAuthentic
	}
	return c.each(from, sealedChunk, tagBytes, to, func(out, nonce, chunk []byte) ([]byte, error) {
		opened, err := c.aead.Open(out, nonce, chunk, nil)
		if err != nil {
			return nil, ErrNotAuthentic
		}
		return opened, nil
	})
}

// each reads chunks of size bytes until one is shorter, which is the last and has at least the least bytes.
func (c *chunks) each(from io.Reader, size, least int, to io.Writer, transform func(out, nonce, chunk []byte) ([]byte, error)) error {
	in, out := make([]byte, size), make([]byte, 0, sealedChunk)
	defer clear(in)
	defer clear(out[:cap(out)])
	for isLast := false; !isLast; {
		length, err := io.ReadFull(from, in)
		if isLast = errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF); err != nil && !isLast {
			return err
		}
		if length < least {
			return ErrNotAuthentic
		}
		nonce, err := c.nonce()
		if err != nil {
			return err
		}
		done, err := transform(out, nonce, in[:length])
		if err != nil {
			return err
		}
		if _, err := to.Write(done); err != nil {
			return err
		}
	}
	return nil
}

// readFull fills the bytes; where there are too few the file is cut.
func readFull(from io.Reader, bytes []byte) error {
	_, err := io.ReadFull(from, bytes)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrNotAuthentic
	}
	return err
}
