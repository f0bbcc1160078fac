// Command verify verifies signed spans offline, by the public keys of their tenant.
//
//	go run github.com/fluo-dev/fluo-kms/clients/go/cmd/verify --keys FILE [--tenant T] [--vkey V]… [--json] SPANS_FILE
//
// SPANS_FILE is an OTLP trace export: protobuf, JSON, or JSON lines. The exit code is 0 if all spans verify, 1 if
// one does not, or if there is none, and 2 if the command line is wrong.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/fluo-dev/fluo-kms/clients/go/verify"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

// usageError says that the command line is wrong.
type usageError struct{ error }

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(arguments []string, stdout, stderr io.Writer) int {
	invocation, err := parseArguments(arguments, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	var verdicts []verify.Verdict
	if err == nil {
		verdicts, err = invocation.judge()
	}
	switch {
	case errors.As(err, &usageError{}):
		_, _ = fmt.Fprintf(stderr, "verify: %s\n", oneLine(err.Error()))
		return exitUsage
	case err != nil && invocation.json:
		printJSON(stdout, failure{Code: "FAILED", Message: err.Error(), Fields: []string{}})
		return exitFailed
	case err != nil:
		_, _ = fmt.Fprintf(stderr, "verify: %s\n", oneLine(err.Error()))
		return exitFailed
	case invocation.json:
		printJSON(stdout, reportOf(verdicts))
	default:
		printTable(stdout, verdicts)
	}
	if countVerified(verdicts) == len(verdicts) && len(verdicts) > 0 {
		return exitOK
	}
	return exitFailed
}

type invocation struct {
	keys, tenant, spans string
	vkeys               []string
	json                bool
}

// parseArguments takes options before and behind the operand.
func parseArguments(arguments []string, stderr io.Writer) (invocation, error) {
	var parsed invocation
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&parsed.keys, "keys", "", "the tenant's public keys, a `FILE` as /api/kms/tenants/{tenant}/jwks.json serves it")
	flags.StringVar(&parsed.tenant, "tenant", "", "the `TENANT` that must have signed; without it, whom each span names")
	flags.Func("vkey", "trust this `VKEY` alone, and those that it hands over to; may be given several times", func(vkey string) error {
		parsed.vkeys = append(parsed.vkeys, vkey)
		return nil
	})
	flags.BoolVar(&parsed.json, "json", false, "print JSON")
	flags.Usage = func() {
		_, _ = fmt.Fprintln(stderr, "usage: verify --keys FILE [--tenant T] [--vkey V]… [--json] SPANS_FILE")
		flags.PrintDefaults()
	}
	var operands []string
	for len(arguments) > 0 {
		if err := flags.Parse(arguments); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return parsed, err
			}
			return parsed, usageError{err}
		}
		if arguments = flags.Args(); len(arguments) > 0 {
			operands, arguments = append(operands, arguments[0]), arguments[1:]
		}
	}
	switch {
	case parsed.keys == "":
		return parsed, usageError{errors.New("--keys FILE is missing")}
	case len(operands) != 1:
		return parsed, usageError{errors.New("one SPANS_FILE must be given")}
	}
	parsed.spans = operands[0]
	return parsed, nil
}

func (i invocation) judge() ([]verify.Verdict, error) {
	jwks, err := readFile(i.keys)
	if err != nil {
		return nil, err
	}
	keys, err := verify.ParseKeySet(jwks)
	if err != nil {
		return nil, err
	}
	if len(i.vkeys) > 0 {
		if keys, err = i.trusted(keys); err != nil {
			return nil, err
		}
	}
	spans, err := readFile(i.spans)
	if err != nil {
		return nil, err
	}
	return keys.VerifyExport(spans, i.tenant)
}

func (i invocation) trusted(keys *verify.KeySet) (*verify.KeySet, error) {
	trusted, err := keys.Trusting(i.vkeys...)
	if err != nil {
		return nil, usageError{fmt.Errorf("--vkey: %w", err)}
	}
	for _, vkey := range i.vkeys {
		if !keys.Has(vkey) {
			return nil, fmt.Errorf("the keys file has no key %s", vkey)
		}
	}
	return trusted, nil
}

func readFile(name string) ([]byte, error) {
	content, err := os.ReadFile(filepath.Clean(name))
	if err != nil {
		return nil, usageError{err}
	}
	return content, nil
}
