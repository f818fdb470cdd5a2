package salesos

import (
	"context"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
)

const (
	// stagesLife is how long a list of stages is trusted. A name that it does not
	// have is looked up anew at once.
	stagesLife = 10 * time.Minute
	// maxStagePages bounds the list that is read.
	maxStagePages = 20
)

// stageWanted is the stage that an update asks for.
type stageWanted struct {
	// id is empty when the update names no stage.
	id string
	// path is where the update named it; name what it was called.
	path, name string
	// remembered: the id is from a list read some time ago.
	remembered bool
}

// stageOf finds the stage of an update: by stage.id, else by stage.name. null is
// none.
func (c *client) stageOf(ctx context.Context, fields map[string]any) (stageWanted, error) {
	if id, ok := transport.ParseID(fields["stage.id"]); ok {
		return stageWanted{id: id, path: "stage.id"}, nil
	}
	name, _ := fields["stage.name"].(string)
	if strings.TrimSpace(name) == "" {
		return stageWanted{path: stagePath}, nil
	}
	remembered := c.stages.fresh(c.cfg.Now())
	id, err := c.stageNamed(ctx, name)
	return stageWanted{id: id, path: "stage.name", name: name, remembered: remembered}, err
}

// stageNamed translates a stage's name: exactly as written, else without regard
// to case and outer spaces. Two stages of the same name are not guessed between.
func (c *client) stageNamed(ctx context.Context, name string) (string, error) {
	known := c.stages.list(c.cfg.Now())
	if len(idsOf(known, name)) == 0 {
		read, err := c.readStages(ctx)
		if err != nil {
			return "", err
		}
		known = read
	}
	ids := idsOf(known, name)
	if len(ids) == 1 {
		return ids[0], nil
	}
	said := "there is no stage of that name"
	if len(ids) > 1 {
		said = "there are several stages of that name; map stage.id instead"
	}
	refused := fault.New(fault.Invalid, "%s: %s", title, said)
	refused.Field = "stage.name"
	return "", refused
}

func idsOf(known []stage, name string) []string {
	var exact, alike []string
	for _, one := range known {
		if one.name == name {
			exact = append(exact, one.id)
		}
		if strings.EqualFold(strings.TrimSpace(one.name), strings.TrimSpace(name)) {
			alike = append(alike, one.id)
		}
	}
	if len(exact) > 0 {
		return exact
	}
	return alike
}

// readStages asks for the list of stages and remembers it.
func (c *client) readStages(ctx context.Context) ([]stage, error) {
	object, _ := objectOf("stages")
	var read []stage
	for page := 1; page <= maxStagePages; page++ {
		got, err := c.page(ctx, object, url.Values{"page": {strconv.Itoa(page)}, "per_page": {strconv.Itoa(maxPage)}})
		if err != nil {
			return nil, err
		}
		known := len(read)
		for _, row := range got.rows {
			name, _ := row.Fields["name"].(string)
			if one := (stage{id: row.Ref.ID, name: name}); !slices.Contains(read, one) {
				read = append(read, one)
			}
		}
		// No page documents that this list has pages: one that brings nothing new ends it.
		if len(read) == known || got.pages >= 0 && page >= got.pages || len(got.rows) < maxPage {
			break
		}
	}
	c.stages.keep(read, c.cfg.Now())
	return read, nil
}

type stage struct{ id, name string }

// stageList is the list of stages as read last.
type stageList struct {
	mu    sync.Mutex
	known []stage
	at    time.Time
}

// list is the list as long as it is trusted, else nothing.
func (l *stageList) list(now time.Time) []stage {
	if !l.fresh(now) {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.known
}

func (l *stageList) fresh(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	age := now.Sub(l.at)
	return len(l.known) > 0 && age >= 0 && age < stagesLife
}

func (l *stageList) keep(known []stage, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.known, l.at = known, now
}

func (l *stageList) forget() { l.keep(nil, time.Time{}) }

// born gives the fields of a new deal with its stage by id.
func (c *client) born(ctx context.Context, fields map[string]any) (map[string]any, error) {
	spelt := flat(fields)
	wanted, err := c.stageOf(ctx, spelt)
	if err != nil {
		return nil, err
	}
	for path := range spelt {
		if strings.HasPrefix(path, stagePath+".") {
			delete(spelt, path)
		}
	}
	if wanted.id != "" {
		spelt["stage.id"] = c.numbers.ID("stages", wanted.id)
	}
	return spelt, nil
}
