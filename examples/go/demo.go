package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// demo is what a visitor would do.
func demo(ctx context.Context, url string) error {
	for _, body := range []string{`{"id": "7", "email": "ann@example.com", "amount": 5000}`, `{"id": "8", "email": "bob@example.com", "amount": 50000}`} {
		if _, err := ask(ctx, http.MethodPost, url+"/loans", body); err != nil {
			return err
		}
	}
	if _, err := ask(ctx, http.MethodGet, url+"/loans/7", ""); err != nil {
		return err
	}
	answer, err := ask(ctx, http.MethodGet, url+"/audit", "")
	if err != nil {
		return err
	}
	var report auditReport
	if err := json.Unmarshal(answer, &report); err != nil {
		return err
	}
	if report.Verified == 0 || report.Verified != report.Spans {
		return fmt.Errorf("%d of %d spans verify", report.Verified, report.Spans)
	}
	return nil
}

func ask(ctx context.Context, method, url, body string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s %s: %s", method, url, answer.Status)
	}
	fmt.Printf("%s %s\n  %s\n", method, url, strings.TrimSpace(string(content)))
	return content, err
}
