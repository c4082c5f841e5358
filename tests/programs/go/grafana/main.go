// Reads dashboards of Grafana by the types that Grafana makes of its own schemas, panels and queries
// included, and prints what does not fit: one complaint a line.
package main

import (
	"fmt"
	"os"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

func main() {
	plugins.RegisterDefaultPlugins()
	for _, path := range os.Args[1:] {
		raw, err := os.ReadFile(path)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		var read dashboard.Dashboard
		if err := read.UnmarshalJSONStrict(raw); err != nil {
			fmt.Println(err)
		}
		if err := read.Validate(); err != nil {
			fmt.Println(err)
		}
	}
}
