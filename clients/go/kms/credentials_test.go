package kms

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestACertificateIsRenewedWithoutAFailedHandshake(t *testing.T) {
	folder := t.TempDir()
	files := tlsFiles{certificate: filepath.Join(folder, "client.pem"), key: filepath.Join(folder, "client.key")}
	tomorrow := time.Now().Add(24 * time.Hour)
	first, firstKey := newPair(t, 1, tomorrow)
	second, secondKey := newPair(t, 2, tomorrow)
	write(t, files.certificate, first)
	write(t, files.key, firstKey)
	creds, err := newFileTLS(files)
	if err != nil {
		t.Fatal(err)
	}
	expectShown(t, creds, 1)
	write(t, files.certificate, second)
	expectShown(t, creds, 1)
	write(t, files.key, secondKey)
	expectShown(t, creds, 2)
	if err := os.Remove(files.certificate); err != nil {
		t.Fatal(err)
	}
	expectShown(t, creds.Clone().(fileTLS), 2)
}

func TestFilesThatAreNoPairAreReportedOnceTheCertificateHasEnded(t *testing.T) {
	folder := t.TempDir()
	files := tlsFiles{certificate: filepath.Join(folder, "client.pem"), key: filepath.Join(folder, "client.key")}
	ended, key := newPair(t, 1, time.Now().Add(-time.Hour))
	write(t, files.certificate, ended)
	write(t, files.key, key)
	creds, err := newFileTLS(files)
	if err != nil {
		t.Fatal(err)
	}
	_, other := newPair(t, 2, time.Now().Add(time.Hour))
	write(t, files.key, other)
	client, server := net.Pipe()
	defer func() { _, _ = client.Close(), server.Close() }()
	if _, _, err := creds.ClientHandshake(t.Context(), "localhost", client); err == nil {
		t.Fatal("the handshake began")
	}
}

// expectShown fails unless a server is shown the certificate of this serial number.
func expectShown(t *testing.T, creds fileTLS, serial int64) {
	t.Helper()
	chain, key := newPair(t, 100, time.Now().Add(time.Hour))
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		t.Fatal(err)
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	write(t, ca, chain)
	creds.files.ca = ca
	// What was read last must trust the server, too.
	config := creds.last.Load().Clone()
	config.RootCAs = x509.NewCertPool()
	config.RootCAs.AppendCertsFromPEM(chain)
	creds.last.Store(config)

	inner, outer := net.Pipe()
	server := tls.Server(outer, &tls.Config{
		Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert, NextProtos: []string{"h2"},
	})
	defer func() { _, _ = inner.Close(), outer.Close() }()
	accepted := make(chan error, 1)
	go func() {
		err := server.HandshakeContext(t.Context())
		if err == nil {
			// The client awaits nothing else; TLS 1.3's ticket is read by it, as a pipe holds nothing.
			_, err = server.Write([]byte{0})
		}
		accepted <- err
	}()
	conn, _, err := creds.ClientHandshake(t.Context(), "localhost", inner)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	if shown := server.ConnectionState().PeerCertificates[0].SerialNumber; shown.Int64() != serial {
		t.Fatalf("certificate %v was shown, not %d", shown, serial)
	}
}

func newPair(t *testing.T, serial int64, until time.Time) (certificate, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: until.Add(-48 * time.Hour), NotAfter: until,
		DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pemOf(t, "CERTIFICATE", der), pemOf(t, "PRIVATE KEY", pkcs8)
}

func pemOf(t *testing.T, kind string, der []byte) []byte {
	t.Helper()
	var text bytes.Buffer
	if err := pem.Encode(&text, &pem.Block{Type: kind, Bytes: der}); err != nil {
		t.Fatal(err)
	}
	return text.Bytes()
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
