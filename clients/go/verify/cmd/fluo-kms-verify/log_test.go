package main

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/fluo-dev/fluo-kms/clients/go/verify/internal/wire"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/fluo-dev/fluo-kms/clients/go/verify"
)

const (
	logName  = "kms.example.com/acme"
	logKeyID = "00112233445566778899aabbccddeeff"
	signedAt = "2026-03-01T12:00:00.000Z"

	checkedOfLog = "The following checks were performed: each span's signature or log proof; the state of each key; " +
		"that no entry is missing, repeated or rewritten"
	notShownOfLog = "Not shown: that what a span says is true; spans never sent or sampled away; what came after the last entry; "
)

// hashes are the stored hashes of a log, as tlog reads them.
type hashes []tlog.Hash

func (h hashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	found := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		found[i] = h[index]
	}
	return found, nil
}

// signedLog is a log of spans, each in the checkpoint of all.
type signedLog struct {
	keys       string
	export     []byte
	spans      [][]byte
	checkpoint string
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func plainSpan(n int) []byte {
	span := wire.AppendBytes(wire.AppendTag(nil, 1, wire.BytesType), []byte("0123456789abcdef"))
	span = wire.AppendBytes(wire.AppendTag(span, 2, wire.BytesType), fmt.Appendf(nil, "span%04d", n))
	return wire.AppendBytes(wire.AppendTag(span, 5, wire.BytesType), []byte("pay"))
}

func spanName(n int) string {
	return fmt.Sprintf("%x/%x", "0123456789abcdef", fmt.Sprintf("span%04d", n))
}

func withAttribute(span []byte, key, value string) []byte {
	text := wire.AppendBytes(wire.AppendTag(nil, 1, wire.BytesType), value)
	attribute := wire.AppendBytes(wire.AppendTag(nil, 1, wire.BytesType), key)
	attribute = wire.AppendBytes(wire.AppendTag(attribute, 2, wire.BytesType), text)
	return wire.AppendBytes(wire.AppendTag(span, 9, wire.BytesType), attribute)
}

func exportOf(spans ...[]byte) (export []byte) {
	for _, span := range spans {
		scopeSpans := wire.AppendBytes(wire.AppendTag(nil, 2, wire.BytesType), span)
		resourceSpans := wire.AppendBytes(wire.AppendTag(nil, 2, wire.BytesType), scopeSpans)
		export = wire.AppendBytes(wire.AppendTag(export, 1, wire.BytesType), resourceSpans)
	}
	return export
}

func signLog(t *testing.T, count int) signedLog {
	t.Helper()
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public := private.Public().(ed25519.PublicKey)
	vkey, err := note.NewEd25519VerifierKey(logName, public)
	check(t, err)
	keys, err := json.Marshal(map[string]any{"keys": []any{map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": logKeyID,
		"x": base64.RawURLEncoding.EncodeToString(public), "state": "ACTIVE", "vkeys": []string{vkey}}}})
	check(t, err)
	var stored hashes
	for n := range count {
		canonical, err := verify.CanonicalForm(nil, nil, plainSpan(n))
		check(t, err)
		entry := fmt.Appendf(nil, `{"_type":"https://in-toto.io/Statement/v1","predicate":{"signedAt":"%s","tenant":"acme"},`+
			`"predicateType":"https://fluo.dev/kms/compliance-span/v1","subject":[{"digest":{"sha256":"%x"},"name":"%s"}]}`,
			signedAt, sha256.Sum256(canonical), spanName(n))
		more, err := tlog.StoredHashes(int64(n), entry, stored)
		check(t, err)
		stored = append(stored, more...)
	}
	root, err := tlog.TreeHash(int64(count), stored)
	check(t, err)
	text := fmt.Sprintf("%s\n%d\n%s\n", logName, count, root)
	digest := sha256.Sum256(append([]byte(logName+"\n\x01"), public...))
	signature := base64.StdEncoding.EncodeToString(append(digest[:4:4], ed25519.Sign(private, []byte(text))...))
	signed := signedLog{keys: string(keys), checkpoint: text + "\n— " + logName + " " + signature + "\n"}
	for n := range count {
		path, err := tlog.ProveRecord(int64(count), int64(n), stored)
		check(t, err)
		proof := fmt.Sprintf("c2sp.org/tlog-proof@v1\nindex %d\n", n)
		for _, hash := range path {
			proof += hash.String() + "\n"
		}
		proof += "\n" + signed.checkpoint
		span := withAttribute(plainSpan(n), "audit.integrity.algorithm", "c2sp.org/tlog-proof@v1")
		span = withAttribute(span, "audit.integrity.value", base64.StdEncoding.EncodeToString([]byte(proof)))
		span = withAttribute(span, "audit.integrity.tenant", "acme")
		signed.spans = append(signed.spans, withAttribute(span, "audit.integrity.signed_at", signedAt))
	}
	signed.export = exportOf(signed.spans...)
	return signed
}

// given writes files, and returns arguments by which the command reads them.
func given(t *testing.T, keys string, export []byte, checkpoints ...string) []string {
	t.Helper()
	t.Chdir(t.TempDir())
	check(t, os.WriteFile("keys", []byte(keys), 0o600))
	check(t, os.WriteFile("spans", export, 0o600))
	arguments := []string{"--log", "--keys", "keys", "spans"}
	for i, text := range checkpoints {
		name := fmt.Sprintf("kept-%d", i)
		check(t, os.WriteFile(name, []byte(text), 0o600))
		arguments = append(arguments, "--checkpoint", name)
	}
	return arguments
}

func TestAWholeLogHasNoProblems(t *testing.T) {
	log := signLog(t, 5)
	code, stdout, stderr := runWith(given(t, log.keys, log.export, "\ufeff"+strings.ReplaceAll(log.checkpoint, "\n", "\r\n"))...)
	want := "log kms.example.com/acme, entries 0 to 4: 5 spans\n  checkpoint kept-0, of 5 entries, agrees\n  no problems\n" +
		checkedOfLog + "; the order of the spans; the kept checkpoints.\n" +
		notShownOfLog + "that a checkpoint binds a party that kept it itself; whose the keys are.\n"
	if code != exitOK || stdout != want || stderr != "" {
		t.Errorf("%d: %s%s", code, stdout, stderr)
	}
	code, stdout, _ = runWith(append(given(t, log.keys, log.export), "--json")...)
	if code != exitOK || !strings.HasPrefix(stdout, `{
  "ok": true,
  "logs": [
    {
      "origin": "kms.example.com/acme",
      "from": 0,
      "to": 5,
      "spans": 5,
      "handovers": 0,
      "announced": 0,
      "checkpoints": [],
      "findings": []
    }
  ],
  "signed_apart": 0
}`) {
		t.Errorf("%d: %s", code, stdout)
	}
}

func TestWhatIsWrongWithALogIsFoundAndNamed(t *testing.T) {
	log := signLog(t, 5)
	changed := wire.AppendBytes(wire.AppendTag(log.spans[2], 3, wire.BytesType), "a=b")
	for _, each := range []struct {
		what      string
		spans     [][]byte
		arguments []string
		want      string
	}{
		{"a span is missing", [][]byte{log.spans[0], log.spans[1], log.spans[3], log.spans[4]}, nil,
			"  missing  entry 2  -  1 entry, after " + spanName(1) + ", before " + spanName(3) + "\n" +
				"  not checked, without a --checkpoint: whether the log was cut off behind entry 4, or written anew\n" +
				"  1 problem, the first at entry 2\n"},
		{"spans are reordered", [][]byte{log.spans[1], log.spans[0], log.spans[2], log.spans[3], log.spans[4]}, nil,
			"  reordered  entry 0  " + spanName(1) + "  entry 1 stands where " + spanName(0) + ", entry 0, is due\n"},
		{"the order does not count", [][]byte{log.spans[1], log.spans[0], log.spans[2], log.spans[3], log.spans[4]}, []string{"--any-order"},
			"or written anew\n  not checked, with --any-order: the order of the spans\n  no problems\n"},
		{"a span is there twice", append(log.spans[:4:4], log.spans[1], log.spans[4]), nil,
			"  repeated  entry 1  " + spanName(1) + "  in the place of " + spanName(1) + "\n"},
		{"a span was changed", [][]byte{log.spans[0], log.spans[1], changed, log.spans[3], log.spans[4]}, nil,
			"  changed  entry 2  " + spanName(2) + "  the log proof does not hold: the span or its proof was altered"},
		{"a span has no evidence", append(log.spans[:5:5], plainSpan(7)), nil, "  unreadable  entry -  " + spanName(7) + "  the span carries no evidence"},
		{"the tail is cut off", log.spans[:3], []string{"--to", "3"}, "log kms.example.com/acme, entries 0 to 2: 3 spans\n"},
		{"a part of the log", log.spans[1:3], []string{"--from", "1", "--to", "3"}, "entries 1 to 2: 2 spans\n"},
		{"no spans", nil, nil, "there are no spans of a log in the file\n"},
	} {
		arguments := given(t, log.keys, exportOf(each.spans...))
		if _, stdout, stderr := runWith(append(arguments, each.arguments...)...); !strings.Contains(stdout, each.want) {
			t.Errorf("%s: %s%s", each.what, stdout, stderr)
		}
	}
}

func TestAKeptCheckpointShowsThatTheEndIsCutOff(t *testing.T) {
	log, longer := signLog(t, 5), signLog(t, 7)
	code, stdout, _ := runWith(given(t, log.keys, log.export, log.checkpoint+longer.checkpoint)...)
	if code != exitFailed || !strings.Contains(stdout, "  missing  entry 5  -  2 entries, after "+spanName(4)+"\n") ||
		!strings.Contains(stdout, "  checkpoint kept-0, of 5 entries, agrees\n  checkpoint kept-0, of 7 entries, is not compared\n  1 problem") {
		t.Errorf("%d: %s", code, stdout)
	}
}

func TestWhatCannotBeCheckedIsRefused(t *testing.T) {
	log := signLog(t, 2)
	withoutLog := strings.Replace(log.keys, `"vkeys"`, `"names"`, 1)
	otherLog := strings.Replace(log.checkpoint, logName, "other", 1)
	for _, each := range []struct {
		keys        string
		checkpoints []string
		options     []string
		code        int
		want        string
	}{
		{log.keys, []string{"hello\n"}, nil, exitFailed, "kept-0 holds no checkpoint"},
		{log.keys, []string{log.checkpoint + "more\n"}, nil, exitFailed, "kept-0 holds no checkpoint"},
		{log.keys, []string{log.checkpoint, ""}, nil, exitFailed, "kept-1 holds no checkpoint"},
		{log.keys, []string{otherLog}, nil, exitFailed, "kept-0: no key of the keys file signed the checkpoint of 2"},
		{withoutLog, nil, nil, exitFailed, "the keys file names no log"},
		{log.keys, nil, []string{"--from", "07"}, exitUsage, "--from is a number of entries"},
		{log.keys, nil, []string{"--to", "9007199254740992"}, exitUsage, "--to is a number of entries"},
		{log.keys, nil, []string{"--from", "2", "--to", "2"}, exitUsage, "--from must be below --to"},
		{log.keys, nil, []string{"--log=false", "--to", "2"}, exitUsage, "--to is for --log"},
	} {
		code, stdout, stderr := runWith(append(given(t, each.keys, log.export, each.checkpoints...), each.options...)...)
		if code != each.code || stdout != "" || !strings.Contains(stderr, each.want) {
			t.Errorf("%s: %d, %s%s", each.want, code, stdout, stderr)
		}
	}
}

func TestSpansOfALogAreListedAsItsEntries(t *testing.T) {
	log := signLog(t, 9)
	arguments := given(t, log.keys, exportOf(log.spans[0], log.spans[1], log.spans[4], plainSpan(7)))[1:]
	code, stdout, _ := runWith(arguments...)
	want := "log kms.example.com/acme: entries 0 to 1 and 4 (2 between are not verified here); --log checks that none is missing\n3 of 4 verified, 1 failed\n"
	if code != exitFailed || !strings.Contains(stdout, want) || !strings.Contains(stdout, spanName(7)+"  UNSIGNED  the span carries no evidence") ||
		!strings.HasPrefix(stdout, "span  ") {
		t.Errorf("%d: %s", code, stdout)
	}
}

func TestItEndsInWhatWasCheckedAndWhatDoesNotShow(t *testing.T) {
	log := signLog(t, 2)
	var keys struct{ Keys []struct{ Vkeys []string } }
	check(t, json.Unmarshal([]byte(log.keys), &keys))
	vkey := keys.Keys[0].Vkeys[0]
	asLog := given(t, log.keys, log.export)
	for _, each := range []struct {
		arguments []string
		want      string
	}{
		{asLog[1:], `2 of 2 verified
The following checks were performed: each span's signature or log proof; the state of each key.
Not shown: that what a span says is true; spans never sent or sampled away; whether spans are missing; whose the keys are.
`},
		{append(asLog[1:], "--vkey", vkey), `2 of 2 verified
The following checks were performed: each span's signature or log proof; the state of each key; that the keys follow from a --vkey.
Not shown: that what a span says is true; spans never sent or sampled away; whether spans are missing.
`},
		{append(asLog, "--any-order"), "  no problems\n" + checkedOfLog + ".\n" +
			notShownOfLog + "whether the log was cut off or written anew; whose the keys are.\n"},
	} {
		if code, stdout, stderr := runWith(each.arguments...); code != exitOK || !strings.HasSuffix(stdout, each.want) {
			t.Errorf("%v: %d, %s%s", each.arguments, code, stdout, stderr)
		}
	}
	if code, stdout, _ := runWith(given(t, log.keys, nil)...); code != exitFailed || stdout != "there are no spans of a log in the file\n" {
		t.Errorf("%d, %s", code, stdout)
	}
}

func TestWhatOthersWroteCannotSteerATerminal(t *testing.T) {
	log := signLog(t, 1)
	name := "a\u009b\u202e\u2028\x7f"
	t.Chdir(t.TempDir())
	for file, content := range map[string]string{"keys": log.keys, "spans": string(log.export), name: log.checkpoint} {
		check(t, os.WriteFile(file, []byte(content), 0o600))
	}
	if _, stdout, _ := runWith("--log", "--keys", "keys", "spans", "--checkpoint", name); !strings.Contains(stdout, "checkpoint a????, of") {
		t.Errorf("%q", stdout)
	}
	if _, stdout, _ := runWith("--log", "--keys", "keys", "spans", "--checkpoint", name, "--json"); !strings.Contains(stdout, `"a\u009b\u202e\u2028\u007f"`) {
		t.Errorf("%q", stdout)
	}
}
