// Command fluo-kms-verify verifies signed spans offline, by the public keys of their tenant.
//
//	go install github.com/fluo-dev/fluo-kms/clients/go/verify/cmd/fluo-kms-verify@latest
//	fluo-kms-verify --keys FILE [--tenant T] [--vkey V]… [--json] SPANS_FILE
//	… --log [--checkpoint FILE]… [--from SIZE] [--to SIZE] [--any-order] SPANS_FILE
//
// SPANS_FILE is an OTLP trace export: protobuf, JSON, or JSON lines. With --log the spans must be all of the log's, in
// its order, from the first to the last. The exit code is 0 if all is well, and 1 if something is wrong or if there are
// no spans. It is 2 if the command line is wrong.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/fluo-dev/fluo-kms/clients/go/verify"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2
)

const usage = `Usage: fluo-kms-verify --keys FILE [OPTIONS] SPANS_FILE

Verifies signed spans offline. SPANS_FILE is an OTLP trace export: protobuf, JSON, or JSON lines.

  --keys FILE        the tenant's public keys, as /api/kms/tenants/{tenant}/jwks.json serves them
  --tenant TENANT    who must have signed; without it, whom each span names
  --vkey VKEY        trust this key alone, and those that it hands over to; may be given several times
  --log              check that the spans are all of the log's, in its order, from the first to the last
  --checkpoint FILE  with --log: checkpoints that you kept, one or several in a file; may be given several times
  --from SIZE        with --log: begin behind the first SIZE entries
  --to SIZE          with --log: end with the first SIZE entries
  --any-order        with --log: the file is in no order, as from a store that keeps none
  --json             print JSON
  --help             print this help

Exits with 0 when every span verifies, and with --log none is missing, repeated, out of order or rewritten; 1 when not,
or when there is no span; 2 for wrong usage.
`

// usageError says that the command line is wrong.
type usageError struct{ error }

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

func run(arguments []string, stdout, stderr io.Writer) int {
	invocation, err := parseArguments(arguments)
	if errors.Is(err, flag.ErrHelp) {
		_, _ = fmt.Fprint(stdout, usage)
		return exitOK
	}
	var found result
	if err == nil {
		found, err = invocation.judge()
	}
	switch {
	case errors.As(err, &usageError{}):
		printLine(stderr, "fluo-kms-verify: "+err.Error())
		return exitUsage
	case err != nil && invocation.json:
		printJSON(stdout, failure{Code: "FAILED", Message: err.Error(), Fields: []string{}})
		return exitFailed
	case err != nil:
		printLine(stderr, "fluo-kms-verify: "+err.Error())
		return exitFailed
	case invocation.json:
		printJSON(stdout, found.json())
	default:
		found.print(stdout, invocation)
	}
	if found.ok() {
		return exitOK
	}
	return exitFailed
}

// result is what there is to say: an eachSpan, or with --log wholeLogs.
type result interface {
	ok() bool
	json() any
	print(out io.Writer, asked invocation)
}

type failure struct {
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Fields  []string `json:"fields"`
}

type invocation struct {
	keys, tenant, spans string
	vkeys               []string
	json                bool
	isOfLog             bool
	checkpoints         []string
	from, to            *uint64
	isInAnyOrder        bool
}

// parseArguments takes options before and behind the operand.
func parseArguments(arguments []string) (invocation, error) {
	var parsed invocation
	flags := flag.NewFlagSet("verify", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&parsed.keys, "keys", "", "")
	flags.StringVar(&parsed.tenant, "tenant", "", "")
	appendTo := func(list *[]string) func(string) error {
		return func(value string) error {
			*list = append(*list, value)
			return nil
		}
	}
	flags.Func("vkey", "", appendTo(&parsed.vkeys))
	flags.BoolVar(&parsed.isOfLog, "log", false, "")
	flags.Func("checkpoint", "", appendTo(&parsed.checkpoints))
	from := flags.String("from", "", "")
	to := flags.String("to", "", "")
	flags.BoolVar(&parsed.isInAnyOrder, "any-order", false, "")
	flags.BoolVar(&parsed.json, "json", false, "")
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
	given := map[string]bool{}
	flags.Visit(func(each *flag.Flag) { given[each.Name] = true })
	if given["tenant"] && parsed.tenant == "" {
		return parsed, usageError{errors.New("--tenant is empty")}
	}
	parsed.spans = operands[0]
	return parsed, parsed.checkScope(given, from, to)
}

// checkScope reads what of the logs to verify.
func (i *invocation) checkScope(given map[string]bool, from, to *string) (err error) {
	if !i.isOfLog {
		for _, name := range []string{"checkpoint", "from", "to", "any-order"} {
			if given[name] {
				return usageError{errors.New("--" + name + " is for --log")}
			}
		}
		return nil
	}
	if i.from, err = sizeOf("from", *from, given); err != nil {
		return err
	}
	if i.to, err = sizeOf("to", *to, given); err != nil {
		return err
	}
	if i.from != nil && i.to != nil && *i.from >= *i.to {
		return usageError{errors.New("--from must be below --to")}
	}
	return nil
}

// sizeOf reads ASCII decimal without leading zeros, below 2^53, as formats of logs write sizes.
func sizeOf(name, text string, given map[string]bool) (*uint64, error) {
	if !given[name] {
		return nil, nil
	}
	size, err := strconv.ParseUint(text, 10, 53)
	if err != nil || strconv.FormatUint(size, 10) != text {
		return nil, usageError{errors.New("--" + name + " is a number of entries")}
	}
	return &size, nil
}

func (i invocation) judge() (result, error) {
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
	if !i.isOfLog {
		verdicts, err := keys.VerifyExport(spans, i.tenant)
		return eachSpan(verdicts), err
	}
	options := verify.LogOptions{Tenant: i.tenant, From: i.from, To: i.to, AnyOrder: i.isInAnyOrder}
	for _, file := range i.checkpoints {
		text, err := readFile(file)
		if err != nil {
			return nil, err
		}
		options.Checkpoints = append(options.Checkpoints, verify.KeptCheckpoints{File: file, Text: string(text)})
	}
	report, err := verify.Log(keys, spans, options)
	return wholeLogs{report}, err
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
