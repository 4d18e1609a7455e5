//go:build tools

// Package cli pins the Pulumi CLI that script/engine.py builds when no other way has one.
package cli

import _ "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
