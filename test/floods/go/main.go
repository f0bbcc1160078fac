// Floods a running service, and measures a healthy client of it. The first argument names what to do, options follow. It ends after
// -seconds, and prints in one line of JSON what it sent, and how the service ended its connections.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

type options struct {
	grpc, http, from, ca, tokenFile string
	issuer, kid                     string
	method, request                 string
	seconds                         float64
	connections, pace, rate         int
	most, warm                      int
}

// A flood lasts until its context ends, and closes its connections then.
type flood struct {
	options
	context context.Context
	tls     *tls.Config
	token   string
	pacer   *pacer
	tally
}

var floods = map[string]func(*flood){
	"idle":          idle,
	"handshakes":    handshakes,
	"resets":        resets,
	"continuation":  continuation,
	"settings":      func(f *flood) { settings(f, true) },
	"settings-deaf": func(f *flood) { settings(f, false) },
	"ping":          func(f *flood) { pings(f, true) },
	"ping-deaf":     func(f *flood) { pings(f, false) },
	"window":        window,
	"headers":       headers,
	"references":    references,
	"fields":        fields,
	"slow-bodies":   slowBodies,
	"half-open":     halfOpen,
	"silent":        silent,
	"strangers":     strangers,
	"credentials":   forgedTokens,
}

func main() {
	names := append(slices.Sorted(maps.Keys(floods)), "healthy")
	if len(os.Args) < 2 || !slices.Contains(names, os.Args[1]) {
		fail(fmt.Errorf("the first argument is one of %s", strings.Join(names, ", ")))
	}
	name := os.Args[1]
	f := &flood{options: parse(name, os.Args[2:])}
	f.tls = tlsConfig(f.ca)
	if f.tokenFile != "" {
		f.token = strings.TrimSpace(string(read(f.tokenFile)))
	}
	if name == "healthy" {
		print(healthy(f))
		return
	}
	// One core, as much as the baseline takes.
	runtime.GOMAXPROCS(1)
	f.pacer = newPacer(f.pace)
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(f.seconds*float64(time.Second)))
	defer cancel()
	f.context = ctx
	floods[name](f)
	print(f.counted())
}

func parse(name string, words []string) (o options) {
	set := flag.NewFlagSet(name, flag.ExitOnError)
	set.StringVar(&o.grpc, "grpc", "", "host:port of gRPC")
	set.StringVar(&o.http, "http", "", "host:port of HTTP")
	set.StringVar(&o.from, "from", "127.0.0.1", "local address of the connections")
	set.StringVar(&o.ca, "ca", "", "PEM file of the authority of the service's certificate")
	set.StringVar(&o.tokenFile, "token-file", "", "file with the token of a caller; without it, strangers call")
	set.StringVar(&o.issuer, "issuer", "", "of the forged tokens")
	set.StringVar(&o.kid, "kid", "", "key id of the forged tokens")
	set.StringVar(&o.method, "method", "/fluo.kms.v1.KmsService/SignSpan", "path of the calls")
	set.StringVar(&o.request, "request", "", "message of the calls, in base64")
	set.Float64Var(&o.seconds, "seconds", 14, "how long it lasts")
	set.IntVar(&o.connections, "connections", 0, "connections at a time; 0: as many as this flood has by default")
	set.IntVar(&o.pace, "pace", 0, "connections opened a second; 0: as many as possible")
	set.IntVar(&o.rate, "rate", 0, "calls a second; 0: as many as this has by default")
	set.IntVar(&o.most, "most", 0, "frames, or what else is counted, that a connection sends; 0: without end")
	set.IntVar(&o.warm, "warm", 0, "healthy: calls before those that are measured")
	_ = set.Parse(words)
	return o
}

func (o *options) connectionsOr(usual int) int {
	if o.connections > 0 {
		return o.connections
	}
	return usual
}

func (o *options) rateOr(usual int) int {
	if o.rate > 0 {
		return o.rate
	}
	return usual
}

// A busy loop: what a flood takes from the machine without a byte sent.
func idle(f *flood) {
	for f.context.Err() == nil {
	}
}

func tlsConfig(ca string) *tls.Config {
	roots := x509.NewCertPool()
	if ca != "" {
		roots.AppendCertsFromPEM(read(ca))
	}
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
}

func read(file string) []byte {
	bytes, err := os.ReadFile(file)
	if err != nil {
		fail(err)
	}
	return bytes
}

func print(value any) {
	if err := json.NewEncoder(os.Stdout).Encode(value); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(2)
}
