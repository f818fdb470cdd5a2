// Package config reads the settings of a process from its environment and says
// of each wrong one which it is and how to set it right. Values never appear in
// its errors, since some are secrets. The address of Temporal is not here: the
// Temporal SDK reads its own environment.
package config

import (
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/internal/fault"
)

// The environment variables.
const (
	EnvDB           = "ACCORD_DB"
	EnvKey          = "ACCORD_KEY"
	EnvToken        = "ACCORD_TOKEN"
	EnvListen       = "ACCORD_LISTEN"
	EnvPublicURL    = "ACCORD_PUBLIC_URL"
	EnvAllowPrivate = "ACCORD_ALLOW_PRIVATE"
	EnvLease        = "ACCORD_LEASE"
	EnvHousekeeping = "ACCORD_HOUSEKEEPING"
	EnvTaskQueue    = "ACCORD_TASK_QUEUE"
	EnvLog          = "ACCORD_LOG"
)

// Defaults and bounds.
const (
	DefaultListen    = "127.0.0.1:8080"
	DefaultTaskQueue = "accord"
	DefaultLease     = 30 * time.Second
	MinLease         = time.Second
	MaxLease         = 10 * time.Minute
	// How often webhooks, lost runs, shapes and retention are looked after.
	DefaultHousekeeping = 5 * time.Minute
	MinHousekeeping     = time.Second
	MaxHousekeeping     = time.Hour
	// KeyBytes is the length of the encryption key.
	KeyBytes = 32
	// MinToken is the shortest token that dev keeps in its data folder.
	MinToken = 8
)

// Settings are those of one process.
type Settings struct {
	// DB is "sqlite:FILE" or "postgres://…".
	DB string
	// Key encrypts secrets and values, KeyBytes long.
	Key []byte
	// Token is the admin token of the API; empty when the process serves none.
	Token string
	// Listen is host:port; empty: the process was given none.
	Listen string
	// PublicURL is where vendors reach us, without a trailing slash; empty: not at all.
	PublicURL string
	// AllowPrivate are the private address ranges that connectors may call.
	AllowPrivate []netip.Prefix
	// Lease is how long a worker holds a record.
	Lease time.Duration
	// Housekeeping is the pause between two rounds of what changes slowly: webhooks that
	// a vendor switched off, shapes, lost runs, retention.
	Housekeeping time.Duration
	// TaskQueue is the Temporal task queue.
	TaskQueue string
	// Log is the least level that is logged.
	Log logrus.Level
}

// Need says which settings a process cannot do without.
type Need struct {
	// DB and Key, Token.
	Ledger, Token bool
}

// Load reads the settings; get is os.Getenv. All mistakes are told at once in
// one fault.Usage, each with its variable.
func Load(get func(string) string, need Need) (Settings, error) {
	l := loader{get: func(name string) string { return strings.TrimSpace(get(name)) }}
	settings := Settings{
		DB: l.db(need.Ledger), Key: l.key(need.Ledger), Token: l.token(need.Token),
		Listen: l.listen(), PublicURL: l.publicURL(), AllowPrivate: l.prefixes(),
		Lease:        l.span(EnvLease, DefaultLease, MinLease, MaxLease),
		Housekeeping: l.span(EnvHousekeeping, DefaultHousekeeping, MinHousekeeping, MaxHousekeeping), TaskQueue: l.taskQueue(), Log: l.level(),
	}
	if len(l.wrong) > 0 {
		return Settings{}, &fault.Error{Code: fault.Usage, Message: "the environment is not complete", Details: l.wrong}
	}
	return settings, nil
}

type loader struct {
	get   func(string) string
	wrong []fault.Detail
}

func (l *loader) refuse(name, format string, args ...any) {
	l.wrong = append(l.wrong, fault.Detail{Path: name, Message: fmt.Sprintf(format, args...)})
}

func (l *loader) db(needed bool) string {
	dsn := l.get(EnvDB)
	switch {
	case dsn == "" && needed:
		l.refuse(EnvDB, "is not set; use sqlite:FILE or postgres://user:password@host/name, or paste the line that accord dev prints")
	case dsn != "" && CheckDSN(dsn) != nil:
		l.refuse(EnvDB, "is no database address; use sqlite:FILE or postgres://user:password@host/name")
	}
	return dsn
}

// CheckDSN refuses what is neither a SQLite file nor a Postgres address.
func CheckDSN(dsn string) error {
	file, isFile := strings.CutPrefix(dsn, "sqlite:")
	if isFile && file != "" || strings.HasPrefix(dsn, "postgres://") || strings.HasPrefix(dsn, "postgresql://") {
		return nil
	}
	return fault.New(fault.Usage, "the database address must be sqlite:FILE or postgres://user:password@host/name")
}

func (l *loader) key(needed bool) []byte {
	text := l.get(EnvKey)
	if text == "" {
		if needed {
			l.refuse(EnvKey, "is not set; it must be the key that the ledger was made with; for a new ledger make one with: openssl rand -base64 32")
		}
		return nil
	}
	key, err := ParseKey(text)
	if err != nil {
		l.refuse(EnvKey, "must be %d bytes in base64; make one with: openssl rand -base64 32", KeyBytes)
	}
	return key
}

// ParseKey decodes an encryption key: KeyBytes in base64, standard or URL
// alphabet, padded or not. Anything else is fault.Usage.
func ParseKey(text string) ([]byte, error) {
	plain := strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(strings.TrimSpace(text), "="))
	key, err := base64.RawStdEncoding.DecodeString(plain)
	if err != nil || len(key) != KeyBytes {
		return nil, fault.New(fault.Usage, "the key must be %d bytes in base64", KeyBytes)
	}
	return key, nil
}

func (l *loader) token(needed bool) string {
	token := l.get(EnvToken)
	if token == "" && needed {
		l.refuse(EnvToken, "is not set; make one with: openssl rand -hex 24")
	}
	return token
}

func (l *loader) listen() string {
	address := l.get(EnvListen)
	if address == "" {
		return ""
	}
	if err := CheckAddress(address); err != nil {
		l.refuse(EnvListen, "must be host:port, for example %s", DefaultListen)
	}
	return address
}

// CheckAddress refuses what is not host:port with a port of 0 to 65535.
func CheckAddress(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err == nil {
		_, err = strconv.ParseUint(port, 10, 16)
	}
	if err != nil {
		return fault.New(fault.Usage, "%q is not host:port, for example %s", address, DefaultListen)
	}
	return nil
}

func (l *loader) publicURL() string {
	text := l.get(EnvPublicURL)
	address, err := ParsePublicURL(text)
	if err != nil {
		l.refuse(EnvPublicURL, "must be http:// or https:// with a host, and no query, for example https://accord.example.com")
	}
	return address
}

// ParsePublicURL checks where vendors reach us and takes a trailing slash off.
// Empty stays empty.
func ParsePublicURL(text string) (string, error) {
	if text == "" {
		return "", nil
	}
	parsed, err := url.Parse(text)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Host == "" || parsed.RawQuery != "" || parsed.Fragment != "" || parsed.User != nil {
		return "", fault.New(fault.Usage, "the public URL must be http:// or https:// with a host, and no query")
	}
	return strings.TrimRight(text, "/"), nil
}

func (l *loader) prefixes() []netip.Prefix {
	prefixes, err := ParsePrefixes(l.get(EnvAllowPrivate))
	if err != nil {
		l.refuse(EnvAllowPrivate, "must be address ranges with commas between, for example 127.0.0.0/8,10.1.2.3")
	}
	return prefixes
}

// ParsePrefixes reads address ranges ("10.0.0.0/8") and single addresses,
// separated by commas or spaces. Empty is none.
func ParsePrefixes(text string) ([]netip.Prefix, error) {
	var prefixes []netip.Prefix
	split := func(r rune) bool { return r == ',' || r == ' ' || r == '\t' || r == '\n' }
	for _, part := range strings.FieldsFunc(text, split) {
		prefix, err := netip.ParsePrefix(part)
		if err != nil {
			address, addressErr := netip.ParseAddr(part)
			if addressErr != nil {
				return nil, fault.New(fault.Usage, "%q is no address and no address range", part)
			}
			prefix = netip.PrefixFrom(address, address.BitLen())
		}
		prefixes = append(prefixes, prefix.Masked())
	}
	return prefixes, nil
}

// span reads a duration within bounds.
func (l *loader) span(name string, fallback, least, most time.Duration) time.Duration {
	text := l.get(name)
	if text == "" {
		return fallback
	}
	span, err := time.ParseDuration(text)
	if err != nil || span < least || span > most {
		l.refuse(name, "must be a duration from %s to %s, for example %s", least, most, short(fallback))
	}
	return span
}

// short is a duration without its zero parts.
func short(span time.Duration) string {
	return strings.TrimSuffix(strings.TrimSuffix(span.String(), "0s"), "0m")
}

func (l *loader) taskQueue() string {
	queue := l.get(EnvTaskQueue)
	if queue == "" {
		return DefaultTaskQueue
	}
	if len(queue) > 200 {
		l.refuse(EnvTaskQueue, "is longer than 200 characters")
	}
	return queue
}

func (l *loader) level() logrus.Level {
	text := l.get(EnvLog)
	if text == "" {
		return logrus.InfoLevel
	}
	level, err := logrus.ParseLevel(text)
	if err != nil {
		l.refuse(EnvLog, "must be debug, info, warn or error")
		return logrus.InfoLevel
	}
	return level
}
