//go:build tools

// Package tools has go.mod keep what is built.
package tools

import _ "k8s.io/kubernetes/cmd/kube-apiserver"
