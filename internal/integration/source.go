package integration

// source is the text of a file and what Resolve needs to read it again.
type source struct {
	text []byte
}
