// A client of connect-go, which is not ours: each way by which it can call, and what it was told, as JSON.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"connectrpc.com/connect"
	kmsv1 "github.com/fluo-dev/fluo-kms/clients/go/kmsv1"
)

type asked struct {
	HTTP  string `json:"http"`
	HTTP2 string `json:"http2"`
	CA    string `json:"ca"`
	Token string `json:"token"`
}

const service = "/fluo.kms.v1.KmsService/"

var token string

type call struct {
	client *http.Client
	base   string
	opts   []connect.ClientOption
}

// told is how a call ended: OK, or the code, the text and the types of the details.
type told struct {
	Code    string   `json:"code"`
	Text    string   `json:"text,omitempty"`
	Details []string `json:"details,omitempty"`
}

func tellOf(err error) told {
	if err == nil {
		return told{Code: "ok"}
	}
	var refused *connect.Error
	if !errors.As(err, &refused) {
		return told{Code: "unknown", Text: err.Error()}
	}
	tell := told{Code: refused.Code().String(), Text: refused.Message()}
	for _, detail := range refused.Details() {
		tell.Details = append(tell.Details, detail.Type())
	}
	return tell
}

func unary[Req, Res any](ctx context.Context, by call, rpc string, message *Req) (*Res, error) {
	request := connect.NewRequest(message)
	if token != "" {
		request.Header().Set("authorization", "Bearer "+token)
	}
	response, err := connect.NewClient[Req, Res](by.client, by.base+service+rpc, by.opts...).CallUnary(ctx, request)
	if err != nil {
		return nil, err
	}
	return response.Msg, nil
}

type stream = connect.BidiStreamForClient[kmsv1.SignSpansRequest, kmsv1.SignSpansResponse]

func open(ctx context.Context, by call) *stream {
	client := connect.NewClient[kmsv1.SignSpansRequest, kmsv1.SignSpansResponse](by.client, by.base+service+"SignSpans", by.opts...)
	opened := client.CallBidiStream(ctx)
	if token != "" {
		opened.RequestHeader().Set("authorization", "Bearer "+token)
	}
	return opened
}

func batch(spans int, number int, mode kmsv1.SignMode) *kmsv1.SignSpansRequest {
	made := &kmsv1.ScopeSpans{}
	for at := range spans {
		id := make([]byte, 16)
		copy(id, fmt.Sprintf("%08d%08d", number+1, at+1))
		made.Spans = append(made.Spans, &kmsv1.Span{TraceId: id, SpanId: id[8:], Name: "GET /records", StartTimeUnixNano: 1, EndTimeUnixNano: 2})
	}
	return &kmsv1.SignSpansRequest{
		TenantId: "acme", Mode: mode, RequestId: fmt.Sprintf("go-%d-%d", mode, number),
		ResourceSpans: []*kmsv1.ResourceSpans{{ScopeSpans: []*kmsv1.ScopeSpans{made}}},
	}
}

// read takes the responses to one batch, and returns its results.
func read(from *stream) ([]*kmsv1.SpanResult, error) {
	var results []*kmsv1.SpanResult
	for {
		response, err := from.Receive()
		if err != nil {
			return results, err
		}
		results = append(results, response.GetResults()...)
		if response.GetBatchDone() {
			return results, nil
		}
	}
}

// bulk sends batches without an end, reads nothing until the service takes no more of them, and reads the rest then.
func bulk(by call, spans int) (sent int, signed int, err error) {
	opened := open(context.Background(), by)
	each := make(chan struct{})
	enough := make(chan struct{})
	go func() {
		defer close(each)
		for number := 0; ; number++ {
			if opened.Send(batch(spans, number, kmsv1.SignMode_SIGN_MODE_INDIVIDUAL)) != nil {
				return
			}
			select {
			case each <- struct{}{}:
			case <-enough:
				_ = opened.CloseRequest()
				return
			}
		}
	}()
	for goes := true; goes; {
		select {
		case _, goes = <-each:
			sent++
		case <-time.After(500 * time.Millisecond):
			goes = false
		}
	}
	close(enough)
	for {
		results, err := read(opened)
		for _, result := range results {
			if result.GetSigned() != nil {
				signed++
			}
		}
		if errors.Is(err, io.EOF) {
			return sent, signed, opened.CloseResponse()
		}
		if err != nil {
			return sent, signed, err
		}
	}
}

// resent sends a batch to a log, is cut off before the answer, and sends it again on another stream.
func resent(by call) (first uint64, again uint64, err error) {
	log := kmsv1.SignMode_SIGN_MODE_LOG
	before := open(context.Background(), by)
	if err := before.Send(batch(10, 100, log)); err != nil {
		return 0, 0, err
	}
	results, err := read(before)
	if err != nil {
		return 0, 0, err
	}
	ctx, cut := context.WithCancel(context.Background())
	lost := open(ctx, by)
	if err := lost.Send(batch(10, 100, log)); err != nil {
		cut()
		return 0, 0, err
	}
	cut()
	after := open(context.Background(), by)
	if err := after.Send(batch(10, 100, log)); err != nil {
		return 0, 0, err
	}
	second, err := read(after)
	if err != nil {
		return 0, 0, err
	}
	return results[0].GetSigned().GetLeafIndex(), second[0].GetSigned().GetLeafIndex(), after.CloseRequest()
}

func main() {
	var given asked
	check(json.Unmarshal([]byte(os.Args[1]), &given))
	token = given.Token
	pem, err := os.ReadFile(given.CA)
	check(err)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	trust := &tls.Config{RootCAs: pool}
	http1 := &http.Client{Transport: &http.Transport{TLSClientConfig: trust}}
	http2 := &http.Client{Transport: &http.Transport{TLSClientConfig: trust.Clone(), ForceAttemptHTTP2: true}}

	ways := map[string][]connect.ClientOption{
		"Connect":         nil,
		"Connect in JSON": {connect.WithProtoJSON()},
		"Connect, gzip":   {connect.WithSendGzip()},
		"Connect by GET":  {connect.WithHTTPGet(), connect.WithIdempotency(connect.IdempotencyNoSideEffects)},
		"gRPC-Web":        {connect.WithGRPCWeb()},
	}
	out := map[string]any{}
	background := context.Background()
	for name, opts := range ways {
		by := call{client: http1, base: given.HTTP, opts: opts}
		status, err := unary[kmsv1.StatusRequest, kmsv1.StatusResponse](background, by, "Status", &kmsv1.StatusRequest{})
		ended := map[string]any{"status": tellOf(err), "provider": status.GetProvider()}
		if name != "Connect by GET" {
			request := &kmsv1.EncryptPiiRequest{TenantId: "acme", Fields: []*kmsv1.PlainField{{Name: "email", Value: []byte("ada@example.org")}}}
			sealed, err := unary[kmsv1.EncryptPiiRequest, kmsv1.EncryptPiiResponse](background, by, "EncryptPii", request)
			ended["sealed"] = len(sealed.GetFields())
			ended["encrypt"] = tellOf(err)
			_, err = unary[kmsv1.EncryptPiiRequest, kmsv1.EncryptPiiResponse](background, by, "EncryptPii", &kmsv1.EncryptPiiRequest{TenantId: "A B"})
			ended["refused"] = tellOf(err)
			// The most fields of a call: no machine seals them within a millisecond.
			many := &kmsv1.EncryptPiiRequest{TenantId: "acme", Fields: slices.Repeat(request.Fields, 1000)}
			late, stop := context.WithTimeout(background, time.Millisecond)
			_, err = unary[kmsv1.EncryptPiiRequest, kmsv1.EncryptPiiResponse](late, by, "EncryptPii", many)
			stop()
			ended["late"] = tellOf(err)
		}
		out[name] = ended
	}
	streams := map[string]any{}
	for name, opts := range map[string][]connect.ClientOption{"Connect": nil, "Connect in JSON": {connect.WithProtoJSON()}, "Connect, gzip": {connect.WithSendGzip()}} {
		by := call{client: http2, base: given.HTTP2, opts: opts}
		sent, signed, err := bulk(by, 400)
		first, again, resendErr := resent(by)
		refused := open(background, by)
		_ = refused.Send(&kmsv1.SignSpansRequest{TenantId: "A B"})
		_, refusal := refused.Receive()
		streams[name] = map[string]any{"signed": signed, "spans": (sent + 1) * 400, "bulk": tellOf(err), "resend": tellOf(resendErr), "same": first == again, "refused": tellOf(refusal)}
	}
	out["streams"] = streams
	check(json.NewEncoder(os.Stdout).Encode(out))
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
