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
