package hooks

import (
	"net"
	"net/url"
	"strings"
)

// CheckURL says what is wrong with a webhook's address, "" for nothing. Vendors
// want https; plain http is accepted to this machine and to private networks
// (and to a host name without dots, as containers have), or anywhere if anyHTTP.
func CheckURL(raw string, anyHTTP bool) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http") {
		return "is not a URL"
	}
	if u.Scheme == "https" || anyHTTP {
		return ""
	}
	host := u.Hostname()
	if ip := net.ParseIP(host); ip != nil {
		if ip.IsLoopback() || ip.IsPrivate() {
			return ""
		}
		return "must be https"
	}
	if !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost") || strings.HasSuffix(host, ".internal") {
		return ""
	}
	return "must be https"
}
