//go:build e2e

package e2e

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/sandboxclient"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// crowd are the people of one server during a storm. They make, edit, clear, put
// back, rename and delete what they see there, whoever made it.
type crowd struct {
	w  *world
	on *system

	mutex sync.Mutex
	dice  *rand.Rand
	// alive are the ids that people know of; before are earlier values of a record.
	alive  []string
	before map[string][]map[string]any

	made, refused *atomic.Int64
}

// crowds begins with what is there.
func (w *world) crowds(seed uint64) []*crowd {
	var list []*crowd
	made, refused := &atomic.Int64{}, &atomic.Int64{}
	for n, on := range w.systems() {
		list = append(list, &crowd{w: w, on: on, dice: rand.New(rand.NewPCG(seed, uint64(n))), before: map[string][]map[string]any{}, made: made, refused: refused})
	}
	return list
}

// hands is how many people of one server work at the same time.
const hands = 6

// work edits rate times a second until stop is closed.
func (c *crowd) work(t *testing.T, rate float64, stop chan struct{}) {
	ctx := context.WithoutCancel(t.Context())
	ticks, group := make(chan struct{}), sync.WaitGroup{}
	for range hands {
		group.Go(func() {
			for range ticks {
				if err := c.act(ctx); err != nil {
					t.Errorf("a person on the %s: %v", c.on.side, err)
				}
			}
		})
	}
	pace := time.NewTicker(time.Duration(float64(time.Second) / rate))
	defer pace.Stop()
	for n := 0; ; n++ {
		if n%int(rate+1) == 0 {
			if err := c.lookAround(ctx); err != nil {
				t.Errorf("look around on the %s: %v", c.on.side, err)
			}
		}
		select {
		case <-stop:
			close(ticks)
			group.Wait()
			return
		case <-pace.C:
			ticks <- struct{}{}
		}
	}
}

// lookAround learns of records that the service has made or deleted.
func (c *crowd) lookAround(ctx context.Context) error {
	found, err := c.on.admin.Records(ctx, c.on.object)
	if err != nil {
		return err
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.alive = c.alive[:0]
	for _, one := range found {
		c.alive = append(c.alive, one.ID)
	}
	return nil
}

// act does one thing. What the vendor refuses (the record is gone, the key is
// taken) is a person's bad luck and counted.
func (c *crowd) act(ctx context.Context) error {
	c.mutex.Lock()
	what, id := c.dice.IntN(100), ""
	if len(c.alive) > 0 {
		id = c.alive[c.dice.IntN(len(c.alive))]
	}
	few := len(c.alive) < 60
	c.mutex.Unlock()
	var err error
	switch {
	case id == "" || what < 4:
		err = c.create(ctx)
	case what < 6 && !few:
		_, err = c.on.admin.DeleteRecord(ctx, c.on.object, id)
	case what < 12:
		err = c.restore(ctx, id)
	case what < 22:
		err = c.tag(ctx, id)
	default:
		err = c.edit(ctx, id, c.values())
	}
	var answer *sandboxclient.Error
	if errors.As(err, &answer) && (answer.Status == http.StatusNotFound || answer.Status == http.StatusConflict) {
		c.refused.Add(1)
		return nil
	}
	c.made.Add(1)
	return err
}

func (c *crowd) create(ctx context.Context) error {
	n := int(c.w.counter.Add(1)) + 1000
	c.mutex.Lock()
	twin := c.dice.IntN(8) == 0
	c.mutex.Unlock()
	for _, on := range c.w.systems() {
		if on != c.on && !twin {
			continue
		}
		made := c.w.lead(n)
		if on == c.w.right {
			made = c.w.contact(n)
		}
		if _, err := on.admin.CreateRecord(ctx, on.object, made); err != nil {
			return err
		}
	}
	return nil
}

// edit remembers what was there, so that it can be put back one day.
func (c *crowd) edit(ctx context.Context, id string, values map[string]any) error {
	found, err := c.on.admin.Record(ctx, c.on.object, id)
	if err != nil {
		return err
	}
	old := map[string]any{}
	for name := range values {
		old[name] = found.Fields[name]
	}
	if _, err := c.on.admin.EditRecord(ctx, c.on.object, id, values); err != nil {
		return err
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.before[id] = append(c.before[id], old)
	return nil
}

// restore puts back what a person had changed.
func (c *crowd) restore(ctx context.Context, id string) error {
	c.mutex.Lock()
	list := c.before[id]
	var old map[string]any
	if len(list) > 0 {
		old = list[c.dice.IntN(len(list))]
	}
	c.mutex.Unlock()
	if old == nil {
		return c.edit(ctx, id, c.values())
	}
	_, err := c.on.admin.EditRecord(ctx, c.on.object, id, old)
	return err
}

// tag adds an element to the set that is there, or takes one away.
func (c *crowd) tag(ctx context.Context, id string) error {
	name := map[string]string{"left": "tags", "right": "labels"}[c.on.side]
	found, err := c.on.admin.Record(ctx, c.on.object, id)
	if err != nil {
		return err
	}
	have, _ := found.Fields[name].([]any)
	c.mutex.Lock()
	drop := len(have) > 0 && (len(have) > 5 || c.dice.IntN(2) == 0)
	pick := c.dice.IntN(max(len(have), 1))
	c.mutex.Unlock()
	var list []any
	for n, one := range have {
		if !drop || n != pick {
			list = append(list, one)
		}
	}
	if !drop {
		list = append(list, c.w.word("tag"))
	}
	if list == nil {
		list = []any{}
	}
	_, err = c.on.admin.EditRecord(ctx, c.on.object, id, map[string]any{name: list})
	return err
}

// values are new values of one to three fields; one in eight is a clear.
func (c *crowd) values() map[string]any {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	fresh := int(c.w.counter.Add(1))
	values := map[string]any{}
	for more := 1 + c.dice.IntN(3); more > 0 || len(values) == 0; more-- {
		field, value := c.value(fields()[c.dice.IntN(len(fields()))], fresh)
		for name, one := range field {
			if value && c.dice.IntN(8) == 0 {
				one = nil
			}
			values[name] = one
		}
	}
	return c.on.nested(values)
}

// value is a new value of a field in this server's form, and whether it may be
// cleared instead.
func (c *crowd) value(field string, fresh int) (map[string]any, bool) {
	left := c.on.side == "left"
	pick := func(here, there string) string {
		if left {
			return here
		}
		return there
	}
	switch field {
	case "name":
		if left {
			return map[string]any{"name": c.w.word("Ana" + c.w.canary)}, false
		}
		return map[string]any{"first_name": "Bia" + c.w.canary, "last_name": c.w.word("Lima")}, false
	case "email":
		// A key changes now and then only.
		if c.dice.IntN(3) > 0 {
			return nil, false
		}
		return map[string]any{"email": c.w.email(fresh + 1000)}, false
	case "phone":
		return map[string]any{"phone": fmt.Sprintf("%s%03d", c.w.canaryPhone, fresh%1000)}, true
	case "company":
		return map[string]any{pick("company", "company_name"): c.w.word("Casa")}, true
	case "position":
		return map[string]any{pick("position", "job_title"): c.w.word("Chefe")}, true
	case "stage":
		n := c.dice.IntN(4)
		return map[string]any{pick("status", "lifecycle"): pick([]string{"new", "contacted", "qualified", "converted"}[n], []string{"lead", "contacted", "qualified", "customer"}[n])}, false
	case "score":
		return map[string]any{pick("custom_fields.score", "score"): c.w.score(fresh % 1000)}, true
	case "note":
		return map[string]any{pick("custom_fields.note", "note"): c.w.word("nota")}, true
	case "owner":
		return map[string]any{"owner_id": c.w.ownerID(c.on, c.dice.IntN(2))}, true
	}
	return nil, false
}

// nested puts the custom fields where this server has them.
func (on *system) nested(values map[string]any) map[string]any {
	const prefix = "custom_fields."
	custom := map[string]any{}
	for name, value := range values {
		if len(name) > len(prefix) && name[:len(prefix)] == prefix {
			custom[name[len(prefix):]] = value
			delete(values, name)
		}
	}
	if len(custom) > 0 {
		values["custom_fields"] = custom
	}
	return values
}

// weather lets answers and events of one server go astray, once in a while.
func (w *world) weather(t *testing.T, on *system, dice *rand.Rand, every time.Duration, stop chan struct{}) int {
	ctx := context.WithoutCancel(t.Context())
	for count := 0; ; count++ {
		select {
		case <-stop:
			return count
		case <-time.After(every/2 + time.Duration(dice.Int64N(int64(every)))):
		}
		if err := w.gust(ctx, on, dice); err != nil {
			t.Errorf("weather on the %s: %v", on.side, err)
			return count
		}
	}
}

func (w *world) gust(ctx context.Context, on *system, dice *rand.Rand) error {
	switch dice.IntN(4) {
	case 0:
		return on.admin.DropWebhooks(ctx, 1+dice.IntN(3))
	case 1:
		if err := on.admin.HoldWebhooks(ctx); err != nil {
			return err
		}
		time.Sleep(time.Duration(dice.IntN(200)) * time.Millisecond)
		if err := on.admin.ReleaseWebhooks(ctx, wire.Release{Order: wire.Shuffled, Seed: dice.Int64()}); err != nil {
			return err
		}
		return on.admin.RepeatWebhooks(ctx, 1+dice.IntN(3), 3)
	}
	fault := wire.Fault{HangMS: 300, Skip: dice.IntN(5), When: []string{wire.Before, wire.After}[dice.IntN(2)]}
	fault.Kind = []string{wire.FaultStatus, wire.FaultReset, wire.FaultCut, wire.FaultTimeout, wire.FaultEmptyList, wire.FaultExpireToken}[dice.IntN(6)]
	if fault.Kind == wire.FaultEmptyList {
		// As the answer to a write it would say that it was made when it was not.
		fault.Method = http.MethodGet
	}
	_, err := on.admin.InjectFault(ctx, fault)
	return err
}
