package app

import (
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/connector/lookup"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/integration"
	"github.com/accord-sync/accord/internal/record"
)

// lookUpsOf checks that a driver knows the collections that a side's streams look
// up, and that they mean the same by a name.
func lookUpsOf(file *integration.Integration, side record.Side, driver connector.Driver) []fault.Detail {
	known := map[string]bool{}
	for _, object := range driver.Objects() {
		known[object.Name] = true
	}
	var wrong []fault.Detail
	defined := map[[2]string]integration.LookUp{}
	for n := range file.Streams {
		end := file.Streams[n].End(side)
		for _, one := range end.LookUps {
			at := strings.Join([]string{"streams", file.Streams[n].Name, string(side), "look_up", one.Name}, ".")
			if !known[one.Object] {
				wrong = append(wrong, fault.Detail{Path: at + ".object", Message: driver.Title() + " has no collection " + one.Object + " that this build can speak"})
			}
			key := [2]string{end.Object, one.Name}
			if other, again := defined[key]; again && other != one {
				wrong = append(wrong, fault.Detail{Path: at, Message: "another stream of " + end.Object + " looks something else up under this name"})
			}
			defined[key] = one
		}
	}
	return wrong
}

// lookedUp lets a connector's records carry what the streams look up.
func lookedUp(inner connector.Connector, file *integration.Integration, side record.Side, now func() time.Time) connector.Connector {
	var specs []lookup.Spec
	for n := range file.Streams {
		end := file.Streams[n].End(side)
		for _, one := range end.LookUps {
			specs = append(specs, lookup.Spec{Of: end.Object, Name: one.Name, Object: one.Object, ID: one.ID})
		}
	}
	return lookup.Wrap(inner, specs, now)
}
