// Command conformance is this module's part in the clients' conformance suite:
//
//	conformance COMMAND WORLD.json
//
// It prints a line "FAIL what: why" for whatever is wrong, and "N passed, M failed" as its last line.
package main

import (
	"encoding/json"
	"fmt"
	"os"
)

// world is what a command is given; a field is there where the command needs it.
type world struct {
	Service       string    `json:"service"`
	Scenario      string    `json:"scenario"`
	Keys          string    `json:"keys"`
	Evidence      []string  `json:"evidence"`
	Cases         string    `json:"cases"`
	Out           string    `json:"out"`
	Work          string    `json:"work"`
	Expect        *expected `json:"expect"`
	ExpectService *expected `json:"expectService"`
	TLS           tlsWorld  `json:"tls"`
	Tokens        []string  `json:"tokens"`
	Tenant        string    `json:"tenant"`
	Batches       int       `json:"batches"`
	SpansPerBatch int       `json:"spansPerBatch"`
	Vectors       string    `json:"vectors"`
	Refusals      string    `json:"refusals"`
	// Context, From and To are of seal-stream and open-stream.
	Context map[string]string `json:"context"`
	From    string            `json:"from"`
	To      string            `json:"to"`
	exportWorld
}

type expected struct {
	Individual string `json:"individual"`
	Log        string `json:"log"`
}

type tlsWorld struct {
	Service     string `json:"service"`
	CA          string `json:"ca"`
	OtherCA     string `json:"otherCa"`
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
}

var commands = map[string]func(*results, world) error{
	"produce":     produce,
	"check":       check,
	"judge":       judge,
	"identities":  identities,
	"pushback":    pushback,
	"resume":      resume,
	"export":      export,
	"flush":       flush,
	"seal-stream": sealStream,
	"open-stream": openStream,
	"fake":        fake,
}

func main() {
	if len(os.Args) != 3 || commands[os.Args[1]] == nil {
		fmt.Fprintln(os.Stderr, "usage: conformance COMMAND WORLD.json")
		os.Exit(2)
	}
	var given world
	content, err := os.ReadFile(os.Args[2])
	if err == nil {
		err = json.Unmarshal(content, &given)
	}
	found := &results{}
	if err == nil {
		err = commands[os.Args[1]](found, given)
	}
	if err != nil {
		found.fail(os.Args[1], err.Error())
	}
	fmt.Printf("%d passed, %d failed\n", found.passed, found.failed)
	if found.failed > 0 {
		os.Exit(1)
	}
}
