package transport

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

// Signed reports whether sum is the HMAC-SHA256 of message with one of the
// secrets, in constant time for each. Empty secrets never match.
func Signed(message, sum []byte, secrets []string) bool {
	matched := false
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(message)
		if hmac.Equal(mac.Sum(nil), sum) {
			matched = true
		}
	}
	return matched
}

// BodyHash is the id of an event that has none of its own.
func BodyHash(body []byte) string {
	sum := sha256.Sum256(body)
	return "sha256-" + hex.EncodeToString(sum[:])
}

// Hook is a webhook registration as a vendor lists it.
type Hook struct {
	ID, URL string
	Active  bool
	Events  []string
	// Secret is empty where the vendor keeps it to itself.
	Secret string
}

// ReadHook reads one registration; urlKey names the address ("url",
// "target_url"). A registration that does not say whether it is active is.
func ReadHook(item any, urlKey string) (Hook, bool) {
	object, ok := item.(map[string]any)
	if !ok {
		return Hook{}, false
	}
	id, ok := ParseID(object["id"])
	if !ok {
		return Hook{}, false
	}
	hook := Hook{ID: id, Active: true}
	hook.URL, _ = object[urlKey].(string)
	hook.Secret, _ = object["secret"].(string)
	if active, said := object["active"].(bool); said {
		hook.Active = active
	}
	events, _ := object["events"].([]any)
	for _, event := range events {
		if name, ok := event.(string); ok {
			hook.Events = append(hook.Events, name)
		}
	}
	return hook, true
}

// FindHook picks the registration with the id, else the first with the address.
func FindHook(hooks []Hook, id, address string) (Hook, bool) {
	var found Hook
	for _, hook := range hooks {
		if id != "" && hook.ID == id {
			return hook, true
		}
		if found.ID == "" && hook.URL == address {
			found = hook
		}
	}
	return found, found.ID != ""
}

// Correct reports whether the registration is on, at the address, has all
// events and surely the secret. A secret that the vendor does not show is
// written again.
func (h Hook) Correct(address string, events []string, secret string) bool {
	for _, event := range events {
		if !slices.Contains(h.Events, event) {
			return false
		}
	}
	return h.Active && h.URL == address && h.Secret == secret
}
