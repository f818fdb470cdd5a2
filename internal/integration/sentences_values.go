package integration

import (
	"fmt"
	"strings"
)

// values tells how the values of an enumeration are translated.
func (t *teller) values(text *strings.Builder, field *Field) {
	if len(field.Values) > 0 {
		words := make([]string, len(field.Values))
		for i, pair := range field.Values {
			words[i] = fmt.Sprintf("%v = %v", pair.Left, pair.Right)
		}
		fmt.Fprintf(text, "; translated (%s), and a record with any other value is parked", strings.Join(words, ", "))
	}
	for _, one := range field.Also {
		fmt.Fprintf(text, "; %v of %s counts as %v and stays as it is until the field is edited on the other side", one.Word, t.system(one.Side), one.As)
	}
}
