//go:build tools

// Package tools names the command that this module exists to build, so that `go mod tidy` keeps what it needs.
package tools

import _ "github.com/open-policy-agent/opa"
