package demo

import (
	"context"
	"fmt"
	"net"
	"strings"

	"github.com/accord-sync/accord/internal/fault"
)

// Addresses are where the parts of the demo listen, each host:port.
type Addresses struct {
	API, UI, SalesOS, Acme string
}

// DefaultAddresses are those of a demo that somebody watches.
func DefaultAddresses() Addresses {
	return Addresses{API: "127.0.0.1:8080", UI: "127.0.0.1:8233", SalesOS: "127.0.0.1:8091", Acme: "127.0.0.1:8092"}
}

// FreeAddresses finds four loopback ports that nobody listens on. They are all
// held at once while looking, so that no two are the same.
func FreeAddresses(ctx context.Context) (Addresses, error) {
	var found Addresses
	for _, one := range []*string{&found.API, &found.UI, &found.SalesOS, &found.Acme} {
		listener, err := listen(ctx, "127.0.0.1:0")
		if err != nil {
			return found, fault.Wrap(fault.Usage, err, "no free port on 127.0.0.1 was found")
		}
		defer func() { _ = listener.Close() }()
		*one = listener.Addr().String()
	}
	return found, nil
}

func listen(ctx context.Context, address string) (net.Listener, error) {
	var listening net.ListenConfig
	return listening.Listen(ctx, "tcp", address)
}

// check says which of the addresses cannot be listened on, all at once, before
// anything is started.
func (a Addresses) check(ctx context.Context) error {
	var taken []string
	for _, one := range []struct{ part, address string }{
		{"the API", a.API}, {"the Temporal UI", a.UI}, {"the SalesOS sandbox", a.SalesOS}, {"the Acme sandbox", a.Acme},
	} {
		listener, err := listen(ctx, one.address)
		if err != nil {
			taken = append(taken, fmt.Sprintf("%s for %s", one.address, one.part))
			continue
		}
		_ = listener.Close()
	}
	if len(taken) == 0 {
		return nil
	}
	return fault.New(fault.Usage, "cannot listen on %s: stop what uses it, or run with --free-ports", strings.Join(taken, ", "))
}
