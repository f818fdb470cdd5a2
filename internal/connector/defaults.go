package connector

// Defaulter is a driver that knows what its vendor's servers usually can do.
// It is what a connection starts from before the integration file's own
// `capabilities` and the results of Probe.
type Defaulter interface {
	// Defaults makes no call.
	Defaults() Capabilities
}

// Defaults returns what the driver's vendor usually can do; the zero value,
// which is the most careful one, for a driver that does not say.
func Defaults(driver Driver) Capabilities {
	if defaulter, ok := driver.(Defaulter); ok {
		return defaulter.Defaults()
	}
	return Capabilities{}
}
