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

// SealMessage writes a message of Cobblestone-256; salt is drawn unless a test gives one.
func SealMessage(to io.Writer, from io.Reader, inputKey, context, salt []byte) error {
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
	if err := write(to, bytes.Join([][]byte{salt, c.commitment[:]}, nil)); err != nil {
		return err
	}
	return c.each(from, chunkBytes, 0, to, func(out, nonce, chunk []byte) ([]byte, error) {
		return c.aead.Seal(out, nonce, chunk, nil), nil
	})
}

// OpenMessage writes authentic prefixes of the plaintext, and returns ErrNotAuthentic unless the message was whole.
func OpenMessage(to io.Writer, from io.Reader, inputKey, context []byte) error {
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
		length, err := fill(from, in)
		if err != nil {
			return err
		}
		isLast = length < size
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
		if err := write(to, done); err != nil {
			return err
		}
	}
	return nil
}

// readFull fills the bytes; if the file has fewer it is cut.
func readFull(from io.Reader, bytes []byte) error {
	length, err := fill(from, bytes)
	if err == nil && length < len(bytes) {
		return ErrNotAuthentic
	}
	return err
}

// The most reads in a row that give nothing.
const mostEmptyReads = 100

// fill reads until the bytes are full or the reader is at its end, and returns how many it read. Only io.EOF is the end:
// [io.ReadFull] returns io.ErrUnexpectedEOF both for it and for a reader that says it, as the body of a broken HTTP
// response does, and what was cut would be sealed as if it were whole.
func fill(from io.Reader, into []byte) (length int, err error) {
	for empty := 0; length < len(into) && empty < mostEmptyReads; {
		n, err := from.Read(into[length:])
		length += n
		switch {
		case errors.Is(err, io.EOF):
			return length, nil
		case err != nil:
			return length, err
		case n == 0:
			empty++
		default:
			empty = 0
		}
	}
	if length < len(into) {
		return length, io.ErrNoProgress
	}
	return length, nil
}

// write writes all of the bytes, also by a writer that breaks its contract.
func write(to io.Writer, bytes []byte) error {
	n, err := to.Write(bytes)
	if err == nil && n < len(bytes) {
		err = io.ErrShortWrite
	}
	return err
}
