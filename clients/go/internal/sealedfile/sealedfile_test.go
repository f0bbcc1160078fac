package sealedfile

import (
	"bytes"
	"compress/zlib"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
)

const (
	root = "../../../../"
	// Wycheproof's files are in a folder beside the project, which may not be there.
	wycheproof = "../shared/vectors/wycheproof/"
)

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	content, err := os.ReadFile(root + path)
	if errors.Is(err, os.ErrNotExist) && strings.HasPrefix(path, wycheproof) {
		t.Skipf("SKIPPED: there is no %s", path)
	}
	if err == nil {
		err = json.Unmarshal(content, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

type fileVectors struct {
	DataKey, CiphertextBlob []byte
	Files                   []struct {
		Length int
		Sealed []byte
	}
	Refused []struct {
		Name      string
		Of        int
		Parts     []json.RawMessage
		Authentic *int
	}
}

// plaintext is the one of make.py beside the vectors.
func plaintext(length int) []byte {
	text := make([]byte, length)
	for i := range text {
		text[i] = byte((31*i + i/251) % 256)
	}
	return text
}

func openWhole(sealed, dataKey []byte) ([]byte, error) {
	var out bytes.Buffer
	from := bytes.NewReader(sealed)
	blob, err := ReadBlob(from)
	if err == nil {
		err = Open(&out, from, dataKey, blob)
	}
	return out.Bytes(), err
}

func TestFilesOfAnotherImplementationOpen(t *testing.T) {
	var vectors fileVectors
	readJSON(t, "test/vectors/file/files.json", &vectors)
	for _, each := range vectors.Files {
		opened, err := openWhole(each.Sealed, vectors.DataKey)
		if err != nil || !bytes.Equal(opened, plaintext(each.Length)) {
			t.Errorf("%d bytes: %v", each.Length, err)
		}
	}
}

func TestFilesSealedHereHaveTheFormatOfTheVectors(t *testing.T) {
	var vectors fileVectors
	readJSON(t, "test/vectors/file/files.json", &vectors)
	head := headOf(vectors.CiphertextBlob)
	inputKey, err := inputKeyOf(vectors.DataKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, each := range vectors.Files {
		var sealed bytes.Buffer
		salt := each.Sealed[len(head) : len(head)+saltBytes]
		if err := SealMessage(&sealed, bytes.NewReader(plaintext(each.Length)), inputKey, head, salt); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(sealed.Bytes(), each.Sealed[len(head):]) {
			t.Errorf("%d bytes are sealed otherwise", each.Length)
		}
	}
}

func TestAlteredFilesAreRefusedBehindTheirAuthenticPrefix(t *testing.T) {
	var vectors fileVectors
	readJSON(t, "test/vectors/file/files.json", &vectors)
	whole := map[int][]byte{}
	for _, each := range vectors.Files {
		whole[each.Length] = each.Sealed
	}
	if len(vectors.Refused) == 0 {
		t.Fatal("no vectors")
	}
	for _, each := range vectors.Refused {
		var sealed []byte
		for _, part := range each.Parts {
			var span [2]int
			var added []byte
			if json.Unmarshal(part, &span) == nil {
				added = whole[each.Of][span[0]:span[1]]
			} else if err := json.Unmarshal(part, &added); err != nil {
				t.Fatal(err)
			}
			sealed = append(sealed, added...)
		}
		opened, err := openWhole(sealed, vectors.DataKey)
		if !errors.Is(err, ErrNotAuthentic) {
			t.Errorf("%s: %v", each.Name, err)
		}
		most := 0
		if each.Authentic != nil {
			most = *each.Authentic
		}
		if len(opened) > most || !bytes.Equal(opened, plaintext(each.Of)[:len(opened)]) {
			t.Errorf("%s: %d bytes are delivered", each.Name, len(opened))
		}
	}
}

func TestAnotherDataKeyIsRefused(t *testing.T) {
	var sealed bytes.Buffer
	key := bytes.Repeat([]byte{7}, 32)
	if err := Seal(&sealed, bytes.NewReader([]byte("text")), key, []byte("blob")); err != nil {
		t.Fatal(err)
	}
	if opened, err := openWhole(sealed.Bytes(), key); err != nil || string(opened) != "text" {
		t.Errorf("%q, %v", opened, err)
	}
	key[0]++
	if opened, err := openWhole(sealed.Bytes(), key); !errors.Is(err, ErrNotAuthentic) || len(opened) > 0 {
		t.Errorf("%q, %v", opened, err)
	}
	for _, blob := range [][]byte{nil, make([]byte, maxBlobBytes+1)} {
		if err := Seal(&sealed, bytes.NewReader(nil), key, blob); err == nil {
			t.Errorf("a blob of %d bytes is taken", len(blob))
		}
	}
}

func TestWycheproofChunkedEncryption(t *testing.T) {
	var vectors struct {
		NumberOfTests int
		TestGroups    []struct {
			Tests []struct {
				TcID                             int
				Comment, Key, Ctx, Ct, MsgSha512 string
				MsgLength                        int
				Result                           string
				Flags                            []string
			}
		}
	}
	readJSON(t, wycheproof+"c2sp_chunked_encryption_aes_256_gcm_test.json", &vectors)
	ran := 0
	for _, group := range vectors.TestGroups {
		for _, each := range group.Tests {
			ran++
			key, ctx, ct := unhex(t, each.Key), unhex(t, each.Ctx), inflate(t, unhex(t, each.Ct))
			var out bytes.Buffer
			err := errors.New("key size")
			if len(key) == keyBytes {
				err = OpenMessage(&out, bytes.NewReader(ct), key, ctx)
			}
			if (err == nil) != (each.Result == "valid") {
				t.Errorf("%d %s: %v", each.TcID, each.Comment, err)
			}
			if sum := sha512.Sum512(out.Bytes()); each.MsgSha512 != "" && out.Len() == each.MsgLength && fmt.Sprintf("%x", sum) != each.MsgSha512 {
				t.Errorf("%d %s: another message", each.TcID, each.Comment)
			}
			if out.Len() > each.MsgLength {
				t.Errorf("%d %s: %d bytes are delivered", each.TcID, each.Comment, out.Len())
			}
		}
	}
	if ran != vectors.NumberOfTests {
		t.Errorf("ran %d of %d", ran, vectors.NumberOfTests)
	}
}

// inflate undoes zlib: the file has its ciphertexts compressed.
func inflate(t *testing.T, compressed []byte) []byte {
	t.Helper()
	reader, err := zlib.NewReader(bytes.NewReader(compressed))
	if err != nil {
		t.Fatal(err)
	}
	whole, err := io.ReadAll(reader)
	if err != nil {
		t.Fatal(err)
	}
	return whole
}

func TestWycheproofHKDF(t *testing.T) {
	var vectors struct {
		NumberOfTests int
		TestGroups    []struct {
			Tests []struct {
				TcID                 int
				Ikm, Salt, Info, Okm string
				Size                 int
				Result               string
			}
		}
	}
	readJSON(t, wycheproof+"hkdf_sha512_test.json", &vectors)
	ran := 0
	for _, group := range vectors.TestGroups {
		for _, each := range group.Tests {
			ran++
			prk, err := hkdf.Extract(sha512.New, unhex(t, each.Ikm), unhex(t, each.Salt))
			if err != nil {
				t.Fatal(err)
			}
			okm, err := hkdf.Expand(sha512.New, prk, string(unhex(t, each.Info)), each.Size)
			if valid := err == nil && bytes.Equal(okm, unhex(t, each.Okm)); valid != (each.Result == "valid") {
				t.Errorf("%d: %v", each.TcID, err)
			}
		}
	}
	if ran != vectors.NumberOfTests {
		t.Errorf("ran %d of %d", ran, vectors.NumberOfTests)
	}
}

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	decoded, err := hex.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return decoded
}
