package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"time"

	"github.com/fluo-dev/fluo-kms/clients/go/kms"
)

// What takes this long hangs.
const hung = 5 * time.Minute

// scenario is what every language is given.
type scenario struct {
	Tenant  string            `json:"tenant"`
	Batch   []byte            `json:"batch"`
	Fields  []plainField      `json:"fields"`
	Context map[string]string `json:"context"`
	Record  struct {
		ID    string  `json:"id"`
		Email string  `json:"email"`
		Note  []byte  `json:"note"`
		Alias string  `json:"alias"`
		Phone *string `json:"phone"`
	} `json:"record"`
	File    []byte `json:"file"`
	Refused struct {
		Tenant string `json:"tenant"`
		Code   string `json:"code"`
		Reason string `json:"reason"`
		Field  string `json:"field"`
	} `json:"refused"`
}

type plainField struct {
	Name  string `json:"name"`
	Value []byte `json:"value"`
}

type token struct {
	Name  string `json:"name"`
	Token string `json:"token"`
}

// evidence is what a language produces for the others.
type evidence struct {
	Language   string            `json:"language"`
	Individual []byte            `json:"individual"`
	Log        []byte            `json:"log"`
	Tokens     []token           `json:"tokens"`
	Record     *recordTokens     `json:"record,omitempty"`
	Context    map[string]string `json:"context"`
	Blob       []byte            `json:"blob"`
	Sealed     []byte            `json:"sealed,omitempty"`
}

type recordTokens struct {
	Email string `json:"email"`
	Note  string `json:"note"`
	Alias string `json:"alias"`
}

// person is the scenario's record.
type person struct {
	ID    string
	Email string  `kms:"email"`
	Note  []byte  `kms:"note"`
	Alias string  `kms:"alias"`
	Phone *string `kms:"phone"`
}

func (s scenario) person() person {
	return person{ID: s.Record.ID, Email: s.Record.Email, Note: s.Record.Note, Alias: s.Record.Alias, Phone: s.Record.Phone}
}

func (p person) equals(other person) bool {
	return p.ID == other.ID && p.Email == other.Email && string(p.Note) == string(other.Note) && p.Alias == other.Alias &&
		(p.Phone == nil) == (other.Phone == nil)
}

func readJSON(path string, into any) error {
	content, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return err
	}
	return json.Unmarshal(content, into)
}

func writeJSON(path string, value any) error {
	content, err := json.Marshal(value)
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}

// open returns a client of the service without TLS.
func (w world) open() (context.Context, *kms.Client, func(), error) {
	ctx, cancel := context.WithTimeout(context.Background(), hung)
	client, err := kms.Dial(w.Service, kms.WithInsecure())
	if err != nil {
		cancel()
		return nil, nil, nil, err
	}
	return ctx, client, func() {
		cancel()
		_ = client.Close()
	}, nil
}
