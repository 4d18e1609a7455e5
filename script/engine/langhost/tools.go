//go:build tools

// Package langhost pins the Python language host that script/engine.py builds beside the CLI.
package langhost

import _ "github.com/pulumi/pulumi/sdk/v3/python/cmd/pulumi-language-python"
