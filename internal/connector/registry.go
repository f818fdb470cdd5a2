package connector

import (
	"slices"
	"strings"

	"github.com/accord-sync/accord/internal/fault"
)

// Registry holds the drivers this process knows, by name.
type Registry struct {
	drivers map[string]Driver
}

// NewRegistry makes a registry of the given drivers.
func NewRegistry(drivers ...Driver) *Registry {
	registry := &Registry{drivers: make(map[string]Driver, len(drivers))}
	for _, driver := range drivers {
		registry.drivers[driver.Name()] = driver
	}
	return registry
}

// Driver returns the driver called name, or fault.Usage naming those that exist.
func (r *Registry) Driver(name string) (Driver, error) {
	if driver, ok := r.drivers[name]; ok {
		return driver, nil
	}
	return nil, fault.New(fault.Usage, "connector %q is not known; there are %s, and rest with a manifest", name, strings.Join(r.Names(), ", "))
}

// Names lists the drivers in alphabetical order.
func (r *Registry) Names() []string {
	names := make([]string, 0, len(r.drivers))
	for name := range r.drivers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
