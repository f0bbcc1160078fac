// Verifies a log proof by torchwood: {vkeys, proof, entry} as JSON on standard input. Ends with 1 and the reason where it does not verify.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"filippo.io/torchwood"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	var in struct {
		Vkeys []string
		Proof string
		Entry []byte
	}
	if err := json.NewDecoder(os.Stdin).Decode(&in); err != nil {
		return err
	}
	verifier, err := note.NewVerifier(in.Vkeys[0])
	if err != nil {
		return err
	}
	// The log's name and its key, both.
	policy := torchwood.ThresholdPolicy(2, torchwood.OriginPolicy(verifier.Name()), torchwood.SingleVerifierPolicy(verifier))
	return torchwood.VerifyProof(policy, tlog.RecordHash(in.Entry), []byte(in.Proof))
}
