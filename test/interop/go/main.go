// Verifies evidence of the service by what others wrote, without anything of the service's own. One check a call: its name is the argument,
// what it is about is JSON on standard input. Prints what it learned as JSON; ends with 1 and the reason where it does not verify.
package main

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	attestation "github.com/in-toto/attestation/go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/transparency-dev/formats/log"
	tlogproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// Bytes are base64 in JSON.
type input struct {
	Vkeys     []string
	Note      string
	Proof     string
	Entry     []byte
	From, To  head
	Hashes    [][]byte
	PublicKey []byte
	KeyID     string
	Envelope  dsse.Envelope
	Statement json.RawMessage
	// Milliseconds since 1970.
	Instants []int64
}

type head struct {
	Size uint64
	Root []byte
}

type checkpoint struct {
	Origin  string
	Size    uint64
	Root    []byte
	Signers []uint32
}

var checks = map[string]func(input) (any, error){
	"checkpoint":  checkCheckpoint,
	"proof":       checkProof,
	"consistency": checkConsistency,
	"envelope":    checkEnvelope,
	"statement":   checkStatement,
	"instants":    spellInstants,
}

// Each instant as protojson and package time spell it.
func spellInstants(in input) (any, error) {
	spellings := [][]string{}
	for _, ms := range in.Instants {
		at := time.UnixMilli(ms).UTC()
		text, err := protojson.Marshal(timestamppb.New(at))
		if err != nil {
			return nil, err
		}
		var spelled string
		if err := json.Unmarshal(text, &spelled); err != nil {
			return nil, err
		}
		fixed := at.Format("2006-01-02T15:04:05.000000000-07:00")
		spellings = append(spellings, []string{spelled, at.Format(time.RFC3339Nano), at.Format("2006-01-02T15:04:05.000Z07:00"), fixed})
	}
	return map[string]any{"spellings": spellings}, nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 2 || checks[os.Args[1]] == nil {
		return errors.New("give the name of a check")
	}
	text, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	var in input
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	out, err := checks[os.Args[1]](in)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(out)
}

// The note by x/mod with all the keys, the checkpoint in it by formats with the first.
func checkCheckpoint(in input) (any, error) {
	var verifiers []note.Verifier
	for _, vkey := range in.Vkeys {
		verifier, err := note.NewVerifier(vkey)
		if err != nil {
			return nil, err
		}
		verifiers = append(verifiers, verifier)
	}
	opened, err := note.Open([]byte(in.Note), note.VerifierList(verifiers...))
	if err != nil {
		return nil, err
	}
	parsed, _, _, err := log.ParseCheckpoint([]byte(in.Note), verifiers[0].Name(), verifiers[0])
	if err != nil {
		return nil, err
	}
	signers := []uint32{}
	for _, signature := range opened.Sigs {
		signers = append(signers, signature.Hash)
	}
	return checkpoint{parsed.Origin, parsed.Size, parsed.Hash, signers}, nil
}

// The proof's form by formats, its checkpoint as above, its path by merkle and by x/mod.
func checkProof(in input) (any, error) {
	var parsed tlogproof.TLogProof
	if err := parsed.Unmarshal([]byte(in.Proof)); err != nil {
		return nil, err
	}
	in.Note = string(parsed.Checkpoint)
	checked, err := checkCheckpoint(in)
	if err != nil {
		return nil, err
	}
	tree := checked.(checkpoint)
	var hashes [][]byte
	var record tlog.RecordProof
	for _, hash := range parsed.Hashes {
		hashes = append(hashes, hash[:])
		record = append(record, tlog.Hash(hash))
	}
	leaf := rfc6962.DefaultHasher.HashLeaf(in.Entry)
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, parsed.Index, tree.Size, leaf, hashes, tree.Root); err != nil {
		return nil, fmt.Errorf("merkle: %w", err)
	}
	index, size := int64(parsed.Index), int64(tree.Size)
	if err := tlog.CheckRecord(record, size, tlog.Hash(tree.Root), index, tlog.RecordHash(in.Entry)); err != nil {
		return nil, fmt.Errorf("tlog: %w", err)
	}
	return map[string]any{"Index": parsed.Index, "Checkpoint": tree}, nil
}

func checkConsistency(in input) (any, error) {
	if len(in.From.Root) != tlog.HashSize || len(in.To.Root) != tlog.HashSize {
		return nil, errors.New("a root is not a hash")
	}
	err := proof.VerifyConsistency(rfc6962.DefaultHasher, in.From.Size, in.To.Size, in.Hashes, in.From.Root, in.To.Root)
	if err != nil {
		return nil, fmt.Errorf("merkle: %w", err)
	}
	var tree tlog.TreeProof
	for _, hash := range in.Hashes {
		tree = append(tree, tlog.Hash(hash))
	}
	from, to := tlog.Hash(in.From.Root), tlog.Hash(in.To.Root)
	if err := tlog.CheckTree(tree, int64(in.To.Size), to, int64(in.From.Size), from); err != nil {
		return nil, fmt.Errorf("tlog: %w", err)
	}
	return map[string]any{}, nil
}

func checkEnvelope(in input) (any, error) {
	verifier, err := dsse.NewEnvelopeVerifier(publicKey{in.PublicKey, in.KeyID})
	if err != nil {
		return nil, err
	}
	accepted, err := verifier.Verify(context.Background(), &in.Envelope)
	if err != nil {
		return nil, err
	}
	return map[string]any{"Accepted": len(accepted)}, nil
}

func checkStatement(in input) (any, error) {
	var statement attestation.Statement
	if err := protojson.Unmarshal(in.Statement, &statement); err != nil {
		return nil, err
	}
	if err := statement.Validate(); err != nil {
		return nil, err
	}
	return map[string]any{"PredicateType": statement.PredicateType, "Subject": statement.Subject[0].Name}, nil
}

// An Ed25519 key as dsse takes it.
type publicKey struct {
	key   ed25519.PublicKey
	keyID string
}

func (k publicKey) Verify(_ context.Context, data, signature []byte) error {
	if len(k.key) != ed25519.PublicKeySize || !ed25519.Verify(k.key, data, signature) {
		return errors.New("the signature does not verify")
	}
	return nil
}

func (k publicKey) KeyID() (string, error)   { return k.keyID, nil }
func (k publicKey) Public() crypto.PublicKey { return k.key }
