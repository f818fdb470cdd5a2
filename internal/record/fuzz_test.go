package record_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/record"
)

// FuzzCanon puts any JSON value before every normal form: it is one, it is
// found again from itself, and it does not grow beyond what was given.
func FuzzCanon(f *testing.F) {
	for _, seed := range []string{`"Ana@Example.com "`, `"+55 (11) 98888-7777 ext. 5"`, `7.50e1`, `1e999999999`, `-0.000e-9223372036854775807`, `["b","a","a",[]]`,
		`{"a":{"b":null},"c":[{}]}`, `"2026-02-30"`, `"2026-11-22T12:00:00.000-03:00"`, `"e\u0301"`, `"\ud800"`, `true`, `""`, `[[[[[[]]]]]]`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
		decoder.UseNumber()
		var value any
		if decoder.Decode(&value) != nil {
			return
		}
		for name, kind := range kinds() {
			canon := record.Canon(kind, value)
			require.Equal(t, canon, record.Canon(kind, canon), "%s: %q", name, text)
			require.True(t, record.Equal(kind, value, canon), name)
			encoded, err := json.Marshal(canon)
			require.NoError(t, err)
			require.LessOrEqual(t, len(encoded), 500*(len(text)+1), name)
		}
		require.Len(t, record.Fingerprint(value), 32)
	})
}
