package kms

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
)

func (s *settings) transport() (credentials.TransportCredentials, error) {
	files := tlsFiles{ca: s.caFile, certificate: s.certFile, key: s.keyFile}
	if !s.insecure {
		return newFileTLS(files)
	}
	if files != (tlsFiles{}) {
		return nil, errors.New("certificates are for TLS; leave out WithInsecure")
	}
	return insecure.NewCredentials(), nil
}

type tlsFiles struct{ ca, certificate, key string }

func (f tlsFiles) load() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if f.ca != "" {
		pem, err := os.ReadFile(f.ca)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM", f.ca)
		}
	}
	if f.certificate != "" || f.key != "" {
		pair, err := tls.LoadX509KeyPair(f.certificate, f.key)
		if err != nil {
			return nil, fmt.Errorf("the client's certificate: %w", err)
		}
		config.Certificates = []tls.Certificate{pair}
	}
	return config, nil
}

// fileTLS reads its files for each connection. While they cannot be read or are no pair, as amid a renewal, it goes on with
// what it read last.
type fileTLS struct {
	credentials.TransportCredentials
	files tlsFiles
	last  *atomic.Pointer[tls.Config]
}

// newFileTLS reads the files once, to say at once what is wrong with them.
func newFileTLS(files tlsFiles) (fileTLS, error) {
	config, err := files.load()
	if err != nil {
		return fileTLS{}, err
	}
	f := fileTLS{credentials.NewTLS(config), files, new(atomic.Pointer[tls.Config])}
	f.last.Store(config)
	return f, nil
}

func (f fileTLS) ClientHandshake(ctx context.Context, authority string, conn net.Conn) (net.Conn, credentials.AuthInfo, error) {
	config, err := f.files.load()
	if err == nil {
		f.last.Store(config)
	} else if config = f.last.Load(); hasEnded(config) {
		return nil, nil, err
	}
	return credentials.NewTLS(config).ClientHandshake(ctx, authority, conn)
}

func (f fileTLS) Clone() credentials.TransportCredentials {
	return fileTLS{f.TransportCredentials.Clone(), f.files, f.last}
}

// hasEnded says whether the certificate is no longer valid.
func hasEnded(config *tls.Config) bool {
	return len(config.Certificates) > 0 && time.Now().After(config.Certificates[0].Leaf.NotAfter)
}

// bearer sends a token with each call.
type bearer struct {
	token TokenFunc
	// isCleartext is true for loopback addresses alone.
	isCleartext bool
}

// The form of RFC 6750. A token that is none is never shown.
var tokenForm = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

func (b bearer) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	token, err := b.token(ctx)
	if err != nil {
		return nil, fmt.Errorf("the token function failed: %w", err)
	}
	if !tokenForm.MatchString(token) {
		return nil, errors.New("the token function returned something that is no bearer token")
	}
	return map[string]string{"authorization": "Bearer " + token}, nil
}

func (b bearer) RequireTransportSecurity() bool { return !b.isCleartext }

// isLoopback says whether a target of gRPC is on this machine.
func isLoopback(target string) bool {
	if strings.HasPrefix(target, "unix:") || strings.HasPrefix(target, "unix-abstract:") {
		return true
	}
	if parsed, err := url.Parse(target); err == nil && (parsed.Scheme == "dns" || parsed.Scheme == "passthrough") {
		target = strings.TrimPrefix(parsed.Path, "/")
		if parsed.Opaque != "" {
			target = parsed.Opaque
		}
	}
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		host = target
	}
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && address.Unmap().IsLoopback()
}
