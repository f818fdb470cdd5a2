package client

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSubjectsMeet(t *testing.T) {
	for _, one := range []struct {
		a, b string
		meet bool
	}{
		{"a.b", "a.b", true}, {"a.b", "a.c", false}, {"a.>", "a.b.c", true}, {"a.>", "b.c", false}, {"a.*", "a.b", true}, {"a.*", "a.b.c", false},
		{"*.b", "a.>", true}, {">", "a", true}, {"a.b", "a", false}, {"a.*.c", "a.b.*", true},
	} {
		require.Equal(t, one.meet, subjectsMeet(one.a, one.b), "%s and %s", one.a, one.b)
		require.Equal(t, one.meet, subjectsMeet(one.b, one.a), "%s and %s", one.b, one.a)
	}
}
