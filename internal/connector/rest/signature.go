package rest

import (
	"crypto/hmac"
	"crypto/sha1" // some vendors sign with HMAC-SHA1, which is not broken as a MAC
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
)

const (
	// maxSignatures bounds the signatures of one header that are looked at: there
	// are two while a secret is being changed.
	maxSignatures = 8
	// maxHeader is the longest header that is read, in bytes.
	maxHeader = 4096
)

// delivery is what a vendor sent, and where to.
type delivery struct {
	address string
	header  http.Header
	body    []byte
}

// verify checks where an event comes from, in constant time for each secret. It
// answers the id that the headers give the event; empty: none.
func verify(said manifest.Signature, sent delivery, secrets []string, now time.Time) (string, error) {
	switch said.Kind {
	case manifest.SignatureToken:
		return "", verifyToken(said, sent.header, secrets)
	case manifest.SignatureStandard:
		return verifyStandard(said, sent.header, sent.body, secrets, now)
	}
	return "", verifyHMAC(said, sent, secrets, now)
}

func unsigned(name string) error {
	return fault.New(fault.Unauthorized, "the webhook's header %s is missing or not as the manifest says", strings.ToLower(name))
}

func mismatch() error {
	return fault.New(fault.Unauthorized, "the webhook's signature does not match; check the webhook secret")
}

// one reads a header that must be there once.
func one(header http.Header, name string) (string, bool) {
	values := header.Values(name)
	if len(values) != 1 || values[0] == "" || len(values[0]) > maxHeader {
		return "", false
	}
	return values[0], true
}

func verifyToken(said manifest.Signature, header http.Header, secrets []string) error {
	given, ok := one(header, said.Header)
	token, prefixed := strings.CutPrefix(given, said.Prefix)
	if !ok || !prefixed || token == "" {
		return unsigned(said.Header)
	}
	matched := false
	for _, secret := range secrets {
		// Sums have one length: the comparison tells nothing of the secret's.
		want, got := sha256.Sum256([]byte(secret)), sha256.Sum256([]byte(token))
		matched = (secret != "" && subtle.ConstantTimeCompare(want[:], got[:]) == 1) || matched
	}
	if !matched {
		return mismatch()
	}
	return nil
}

// verifyStandard is standardwebhooks.com: "<id>.<time>.<body>" by HMAC-SHA256,
// base64, "v1,<signature>" several times, the secret base64 behind whsec_.
func verifyStandard(said manifest.Signature, header http.Header, body []byte, secrets []string, now time.Time) (string, error) {
	id, hasID := one(header, "webhook-id")
	at, hasTime := one(header, "webhook-timestamp")
	given, hasSignature := one(header, "webhook-signature")
	if !hasID || !hasTime || !hasSignature {
		return "", unsigned("webhook-signature")
	}
	if err := fresh(at, said.Tolerance, now); err != nil {
		return "", err
	}
	var sums [][]byte
	for part := range strings.SplitSeq(given, " ") {
		version, text, _ := strings.Cut(part, ",")
		if version != "v1" || len(sums) >= maxSignatures {
			continue
		}
		sum, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return "", unsigned("webhook-signature")
		}
		sums = append(sums, sum)
	}
	keys := make([][]byte, 0, len(secrets))
	for _, secret := range secrets {
		text, marked := strings.CutPrefix(secret, "whsec_")
		key, err := base64.StdEncoding.DecodeString(text)
		if err != nil || !marked {
			key = []byte(secret)
		}
		keys = append(keys, key)
	}
	message := append([]byte(id+"."+at+"."), body...)
	if !matches(sha256.New, message, sums, keys) {
		return "", mismatch()
	}
	return id, nil
}

func verifyHMAC(said manifest.Signature, sent delivery, secrets []string, now time.Time) error {
	header := sent.header
	if sent.address == "" && strings.Contains(said.Signed, "{address}") {
		return fault.New(fault.Unauthorized, "the webhook is signed with the address it was sent to, which is not known here: set ACCORD_PUBLIC_URL")
	}
	given, ok := one(header, said.Header)
	if !ok {
		return unsigned(said.Header)
	}
	texts, at := []string{given}, ""
	if said.Part != "" {
		if texts, at, ok = parts(given, said); !ok {
			return unsigned(said.Header)
		}
	}
	if said.TimeHeader != "" {
		if at, ok = one(header, said.TimeHeader); !ok {
			return unsigned(said.TimeHeader)
		}
	}
	if said.TimePart != "" || said.TimeHeader != "" {
		if err := fresh(at, said.Tolerance, now); err != nil {
			return err
		}
	}
	newHash := map[string]func() hash.Hash{"sha256": sha256.New, "sha1": sha1.New, "sha512": sha512.New}[said.Hash]
	var sums [][]byte
	for _, text := range texts {
		text, prefixed := strings.CutPrefix(text, said.Prefix)
		sum, err := decoded(text, said.Encoding)
		if err != nil || !prefixed || len(sum) != newHash().Size() {
			return unsigned(said.Header)
		}
		sums = append(sums, sum)
	}
	keys := make([][]byte, 0, len(secrets))
	for _, secret := range secrets {
		key := []byte(secret)
		if said.Secret == "base64" {
			plain, err := base64.StdEncoding.DecodeString(secret)
			if err != nil {
				return fault.New(fault.Unauthorized, "the webhook's secret is not base64, as the manifest says it is")
			}
			key = plain
		}
		keys = append(keys, key)
	}
	if !matches(newHash, signedText(said.Signed, sent, at), sums, keys) {
		return mismatch()
	}
	return nil
}

// signedText is what was signed. The body is never searched for placeholders.
func signedText(form string, sent delivery, at string) []byte {
	fill := strings.NewReplacer("{time}", at, "{address}", sent.address)
	before, after, _ := strings.Cut(form, "{body}")
	message := append([]byte(fill.Replace(before)), sent.body...)
	return append(message, fill.Replace(after)...)
}

// parts reads a header of the form t=…,v1=…, the signature perhaps several times.
func parts(text string, said manifest.Signature) (signatures []string, at string, ok bool) {
	for part := range strings.SplitSeq(text, ",") {
		key, value, found := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case !found:
			return nil, "", false
		case key == said.TimePart:
			if at != "" {
				return nil, "", false
			}
			at = value
		case key == said.Part && len(signatures) < maxSignatures:
			signatures = append(signatures, value)
		}
	}
	return signatures, at, len(signatures) > 0 && (said.TimePart == "" || at != "")
}

func decoded(text, encoding string) ([]byte, error) {
	if encoding == "base64" {
		return base64.StdEncoding.DecodeString(text)
	}
	return hex.DecodeString(text)
}

// fresh checks the time of a signature, in epoch seconds or milliseconds.
func fresh(text string, tolerance time.Duration, now time.Time) error {
	const mostSeconds = 1 << 36
	number, err := strconv.ParseInt(text, 10, 64)
	if err != nil || number < 0 || number > 1000*mostSeconds {
		return fault.New(fault.Unauthorized, "the webhook's time is no number of seconds")
	}
	at := time.Unix(number, 0)
	if number > mostSeconds {
		at = time.UnixMilli(number)
	}
	if off := now.Sub(at); off > tolerance || off < -tolerance {
		return fault.New(fault.Unauthorized, "the webhook's signature is more than %s off; check this machine's clock", tolerance)
	}
	return nil
}

// matches compares every sum with every key. Empty keys never match.
func matches(newHash func() hash.Hash, message []byte, sums, keys [][]byte) bool {
	matched := false
	for _, key := range keys {
		if len(key) == 0 {
			continue
		}
		mac := hmac.New(newHash, key)
		mac.Write(message)
		want := mac.Sum(nil)
		for _, sum := range sums {
			matched = hmac.Equal(want, sum) || matched
		}
	}
	return matched
}
