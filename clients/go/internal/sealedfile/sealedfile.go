// Package sealedfile seals and opens files under a data key:
//
//	fluo-kms/file/v1\n ‖ u16be length ‖ ciphertext_blob ‖ Cobblestone-256
//
// Everything before the ciphertext is in its context. A data key is never used raw: the input key is
// HKDF-Expand-SHA-512(data key, "fluo-kms/client/v1/file", 32).
package sealedfile

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/binary"
	"errors"
	"io"
)

const (
	magic   = "fluo-kms/file/v1\n"
	keyInfo = "fluo-kms/client/v1/file"
	// Bounds a ciphertext_blob, which is the data key encrypted by the service.
	maxBlobBytes = 1024
)

// ErrNotAuthentic says that a file is not as it was sealed. It never says why: it was altered or cut, or it is
// another tenant's, or was sealed under another encryption context.
var ErrNotAuthentic = errors.New("the sealed file is not authentic: it was altered or cut, or it is of another tenant or encryption context")

// Overhead returns the most bytes that a sealed file of a length has more than the file.
func Overhead(length int) int {
	return len(magic) + 2 + maxBlobBytes + saltBytes + commitmentBytes + (length/chunkBytes+1)*tagBytes
}

// Seal reads a file to its end and writes it sealed. dataKey is of 32 bytes; blob is the same, encrypted. If reading or
// writing fails, what was written has no last chunk and cannot be opened.
func Seal(to io.Writer, from io.Reader, dataKey, blob []byte) error {
	if len(blob) == 0 || len(blob) > maxBlobBytes {
		return errors.New("a ciphertext_blob has 1 to 1024 bytes")
	}
	inputKey, err := inputKeyOf(dataKey)
	if err != nil {
		return err
	}
	defer clear(inputKey)
	head := headOf(blob)
	if err := write(to, head); err != nil {
		return err
	}
	return SealMessage(to, from, inputKey, head, nil)
}

// ReadBlob reads a sealed file as far as its ciphertext, and returns the ciphertext_blob.
func ReadBlob(from io.Reader) ([]byte, error) {
	var head [len(magic) + 2]byte
	if err := readFull(from, head[:]); err != nil {
		return nil, err
	}
	length := binary.BigEndian.Uint16(head[len(magic):])
	if string(head[:len(magic)]) != magic || length == 0 || length > maxBlobBytes {
		return nil, ErrNotAuthentic
	}
	blob := make([]byte, length)
	return blob, readFull(from, blob)
}

// Open reads what follows the blob, to its end, and writes authentic prefixes of the file. All of it is void
// unless Open returns nil.
func Open(to io.Writer, from io.Reader, dataKey, blob []byte) error {
	inputKey, err := inputKeyOf(dataKey)
	if err != nil {
		return err
	}
	defer clear(inputKey)
	return OpenMessage(to, from, inputKey, headOf(blob))
}

func headOf(blob []byte) []byte {
	head := bytes.NewBufferString(magic)
	_ = binary.Write(head, binary.BigEndian, uint16(len(blob))) // never fails
	head.Write(blob)
	return head.Bytes()
}

func inputKeyOf(dataKey []byte) ([]byte, error) {
	if len(dataKey) != keyBytes {
		return nil, errors.New("a data key of a file has 32 bytes")
	}
	return hkdf.Expand(sha512.New, dataKey, keyInfo, keyBytes)
}
