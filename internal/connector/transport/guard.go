package transport

import (
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/accord-sync/accord/internal/fault"
)

// network is the real transport: kept-alive connections and a dialer that
// looks at the resolved address, so that a name that resolves to a private
// address (or changes to one) is refused as well. A proxy from the environment
// is used; its own address must be allowed when it is private.
func network(options Options) *http.Transport {
	dialer := &net.Dialer{
		Timeout:   5 * time.Second,
		KeepAlive: 30 * time.Second,
		Control:   Guard(options.AllowPrivate),
	}
	idle := max(options.Concurrency, 8)
	return &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		ForceAttemptHTTP2:      true,
		MaxIdleConns:           2 * idle,
		MaxIdleConnsPerHost:    idle,
		IdleConnTimeout:        90 * time.Second,
		TLSHandshakeTimeout:    5 * time.Second,
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: 1 << 20,
	}
}

// Guard makes a net.Dialer.Control that refuses every address that is not
// public (loopback, private, link-local with the clouds' metadata services,
// shared, multicast, reserved) unless it lies in one of the allowed prefixes.
// The refusal is fault.Forbidden.
func Guard(allowed []netip.Prefix) func(network, address string, c syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		target, err := netip.ParseAddrPort(address)
		if err != nil {
			return fault.Wrap(fault.Forbidden, err, "the address to call is not an IP address; check base_url and token_url")
		}
		ip := target.Addr().Unmap().WithZone("")
		for _, prefix := range allowed {
			if prefix.Contains(ip) {
				return nil
			}
		}
		if public(ip) {
			return nil
		}
		return fault.New(fault.Forbidden, "the address %s is private and may not be called; correct base_url and token_url, or allow its network with ACCORD_ALLOW_PRIVATE", ip)
	}
}

// reserved are ranges that netip has no predicate for (RFC 6890 and the
// transition prefixes that can hide a private IPv4 address).
func reserved() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),
		netip.MustParsePrefix("100.64.0.0/10"),
		netip.MustParsePrefix("192.0.0.0/24"),
		netip.MustParsePrefix("198.18.0.0/15"),
		netip.MustParsePrefix("240.0.0.0/4"),
		netip.MustParsePrefix("64:ff9b::/96"),
		netip.MustParsePrefix("64:ff9b:1::/48"),
		netip.MustParsePrefix("2002::/16"),
		netip.MustParsePrefix("2001::/32"),
	}
}

func public(ip netip.Addr) bool {
	if !ip.IsGlobalUnicast() || ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		return false
	}
	for _, prefix := range reserved() {
		if prefix.Contains(ip) {
			return false
		}
	}
	return true
}
