package rest_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/transport"
)

// TestPagingsDriftAnyHow: at random, rows vanish, move to the end and are added at
// both ends between any two calls. Rows that stood still all the time are listed.
func TestPagingsDriftAnyHow(t *testing.T) {
	ways := pagings()
	for _, name := range []string{"page", "page from zero, told when it is the last", "page with a total", "offset", "offset with a total and a smaller page than asked for"} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(100) {
				random := rand.New(rand.NewPCG(seed, 7))
				s := stock(30 + random.IntN(40))
				still := map[string]bool{}
				for _, row := range s.slice(0, 1000) {
					still[fmt.Sprint(row["id"])] = true
				}
				serve := func(s *shop, w http.ResponseWriter, r *http.Request) {
					if len(s.sent) < 40 { // they do not work for ever
						s.disturb(random, still)
					}
					ways[name].serve(s, w, r)
				}
				conn := open(t, habit(ways[name].part), s.handler(serve), connector.Auth{Kind: transport.KindNone})
				found := listed(t, conn, connector.ListRequest{Object: "rows"}, nil)
				for id := range still {
					require.Contains(t, found, id, "seed %d", seed)
				}
			}
		})
	}
}

// disturb does what people do between two calls, and notes which rows no longer stand still.
func (s *shop) disturb(random *rand.Rand, still map[string]bool) {
	for range random.IntN(4) {
		count := len(s.slice(0, 1000))
		if count < 8 {
			return
		}
		at := random.IntN(count)
		id := fmt.Sprint(s.slice(at, at+1)[0]["id"])
		switch random.IntN(4) {
		case 0:
			s.take(func(i int) bool { return i == at })
			delete(still, id)
		case 1:
			s.touch(at)
			delete(still, id)
		case 2:
			s.mu.Lock()
			s.rows = append(s.rows, map[string]any{"id": strconv.Itoa(10_000 + len(s.sent)*10 + random.IntN(10)), "changed": 1795348800})
			s.mu.Unlock()
		}
	}
}
