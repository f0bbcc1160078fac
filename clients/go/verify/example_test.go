package verify_test

import (
	"fmt"
	"log"
	"os"

	"github.com/fluo-dev/fluo-kms/clients/go/verify"
)

func ExampleKeySet_VerifyExport() {
	jwks, err := os.ReadFile("keys.json") // of /api/kms/tenants/acme/jwks.json
	if err != nil {
		log.Fatal(err)
	}
	keys, err := verify.ParseKeySet(jwks)
	if err != nil {
		log.Fatal(err)
	}
	export, err := os.ReadFile("spans.json")
	if err != nil {
		log.Fatal(err)
	}
	verdicts, err := keys.VerifyExport(export, "acme")
	if err != nil {
		log.Fatal(err)
	}
	for _, verdict := range verdicts {
		fmt.Println(verdict.TraceID, verdict.SpanID, verdict.Reason, verdict.Explanation())
	}
}

func ExampleLog() {
	var texts [3][]byte
	for i, file := range []string{"keys.json", "spans.json", "yesterday"} {
		text, err := os.ReadFile(file)
		if err != nil {
			log.Fatal(err)
		}
		texts[i] = text
	}
	keys, err := verify.ParseKeySet(texts[0])
	if err != nil {
		log.Fatal(err)
	}
	report, err := verify.Log(keys, texts[1], verify.LogOptions{
		Tenant:      "acme",
		Checkpoints: []verify.KeptCheckpoints{{File: "yesterday", Text: string(texts[2])}}, // as GetCheckpoint gave it
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, each := range report.Logs {
		for _, finding := range each.Findings {
			fmt.Println(each.Origin, finding.What, finding.Message)
		}
	}
}
