package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/fluo-dev/fluo-kms/clients/go/verify"
)

// auditor verifies what was exported to the file: by the public keys, without asking the service about spans.
type auditor struct {
	keys, spans string
	flush       func(context.Context) error
}

type auditReport struct {
	Spans    int      `json:"spans"`
	Verified int      `json:"verified"`
	Problems []string `json:"problems"`
}

func (a auditor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	report, err := a.report(r.Context())
	if err != nil {
		log.Printf("audit: %v", err)
		http.Error(w, "the audit failed", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(report); err != nil {
		log.Printf("audit: %v", err)
	}
}

func (a auditor) report(ctx context.Context) (auditReport, error) {
	report := auditReport{Problems: []string{}}
	if err := a.flush(ctx); err != nil {
		return report, err
	}
	keys, err := a.keySet(ctx)
	if err != nil {
		return report, err
	}
	spans, err := os.ReadFile(a.spans)
	if err != nil {
		return report, err
	}
	verdicts, err := keys.VerifyExport(spans, tenant)
	if err != nil {
		return report, err
	}
	report.Spans = len(verdicts)
	for _, verdict := range verdicts {
		if verdict.Verified {
			report.Verified++
			continue
		}
		report.Problems = append(report.Problems, fmt.Sprintf("%s/%s %s: %s", verdict.TraceID, verdict.SpanID, verdict.Reason, verdict.Explanation()))
	}
	return report, nil
}

func (a auditor) keySet(ctx context.Context) (*verify.KeySet, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.keys+"/api/kms/tenants/"+tenant+"/jwks.json", nil)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	jwks, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	return verify.ParseKeySet(jwks)
}
