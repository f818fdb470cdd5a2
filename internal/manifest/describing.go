package manifest

// Describing is a call that lists the fields of a collection as the system describes
// them now, one a row.
type Describing struct {
	Listing `yaml:",inline"`
	// Name is the path of the field's name in a row. Prefix goes before it to make a
	// path of a record of it ("properties."); empty: the name is the path.
	Name   string `yaml:"name" default:"name"`
	Prefix string `yaml:"prefix"`
	// Type is the path of the vendor's word for its type; Required and ReadOnly are those
	// of booleans. Empty: the system does not tell.
	Type     string `yaml:"type"`
	Required string `yaml:"required"`
	ReadOnly string `yaml:"read_only"`
	// Values is the path of the list of the only values that it takes, Value that of the
	// value in one of them; "." (default): they are the values. An empty list stands for any.
	Values string `yaml:"values"`
	Value  string `yaml:"value" default:"."`
}
