package rest

import (
	"encoding/json"
	"math/big"
	"net/http"
	"strings"
	"time"

	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/manifest"
	"github.com/accord-sync/accord/internal/record"
)

// row makes a record of one JSON object; false without an id. The version is
// the ETag where records have one, else made of the version in the body.
func (c *client) row(object *manifest.Object, item any, header http.Header) (record.Record, bool) {
	fields, ok := item.(map[string]any)
	if !ok {
		return record.Record{}, false
	}
	said := object.Records
	id, ok := idAt(fields, said.ID)
	if !ok {
		return record.Record{}, false
	}
	relate(object, fields)
	row := record.Record{Ref: record.Ref{Side: c.cfg.Side, Object: object.Name, ID: id}, Fields: fields}
	row.CreatedAt = timeAt(fields, said.CreatedAt, said.Times)
	row.UpdatedAt = timeAt(fields, said.UpdatedAt, said.Times)
	row.UpdatedBy = textAt(fields, said.UpdatedBy)
	if said.ETag {
		row.Version = header.Get("ETag")
	}
	if row.Version == "" {
		row.Version = versionAt(fields, said.Version, said)
	}
	return row, true
}

// versionAt is the version at a path in the form that If-Match has.
func versionAt(value any, path string, said *manifest.Records) string {
	found, _ := manifest.Look(value, path)
	version, ok := transport.ParseID(found)
	if !ok {
		return ""
	}
	return strings.ReplaceAll(said.VersionForm, "{version}", version)
}

func idAt(value any, path string) (string, bool) {
	found, _ := manifest.Look(value, path)
	return transport.ParseID(found)
}

func textAt(value any, path string) string {
	found, _ := manifest.Look(value, path)
	text, _ := found.(string)
	return text
}

func timeAt(value any, path, form string) time.Time {
	found, ok := manifest.Look(value, path)
	if !ok {
		return time.Time{}
	}
	if form == "epoch_s" || form == "epoch_ms" {
		return epochOf(found, form)
	}
	at, _ := transport.ParseTime(found)
	return at
}

// epochOf reads a number, with a fraction or without.
func epochOf(value any, form string) time.Time {
	text, isText := value.(string)
	if number, ok := value.(json.Number); ok {
		text, isText = number.String(), true
	}
	if !isText || len(text) > 32 {
		return time.Time{}
	}
	number, ok := new(big.Float).SetString(strings.TrimSpace(text))
	if !ok {
		return time.Time{}
	}
	if form == "epoch_s" {
		number.Mul(number, big.NewFloat(1000))
	}
	const most = 1 << 52 // milliseconds, some 140,000 years
	milliseconds, _ := number.Int64()
	if milliseconds <= 0 || milliseconds > most {
		return time.Time{}
	}
	return time.UnixMilli(milliseconds).UTC()
}

// explain reads the error envelope of the manifest. Its mark is errors.known.
func (c *client) explain(body []byte) transport.VendorError {
	var said transport.VendorError
	value, err := c.explainText(body)
	if err != nil {
		return said
	}
	rules := c.manifest.Errors
	if mark, ok := manifest.Look(value, rules.Known); ok {
		text, _ := mark.(string)
		_, isNumber := mark.(json.Number)
		said.Known = text != "" || isNumber
	}
	for _, path := range rules.Code {
		found, _ := manifest.Look(value, path)
		if code, ok := transport.ParseID(found); ok {
			said.Code = safeCode(code)
			break
		}
	}
	said.Message = textAt(value, rules.Message)
	if id, ok := idAt(value, rules.RequestID); ok {
		said.RequestID = transport.SafeToken(id)
	}
	said.ExistingID = c.existingID(value)
	refused, _ := manifest.Look(value, rules.Fields)
	said.Field, said.Message = refusedField(refused, rules.FieldName, said.Message)
	if said.Field != "" {
		said.Field = rules.FieldPrefix + said.Field
	}
	return said
}

// safeCode keeps a short number too: many systems number their errors.
func safeCode(code string) string {
	const longest = 6
	if len(code) <= longest && strings.Trim(code, "0123456789") == "" {
		return code
	}
	return transport.SafeToken(code)
}

// existingID is the record that a duplicate points to.
func (c *client) existingID(value any) string {
	found, _ := manifest.Look(value, c.manifest.Errors.ExistingID)
	if c.existing != nil {
		text, _ := found.(string)
		match := c.existing.FindStringSubmatch(text)
		if len(match) < 2 {
			return ""
		}
		found = match[1]
	}
	id, _ := transport.ParseID(found)
	return id
}

// refusedField is the refused field and the message with what is said of it. Of
// several the first by name, so that it does not change from try to try.
func refusedField(refused any, nameAt, message string) (string, string) {
	field, reasons := "", any(nil)
	add := func(name string, said any) {
		if safe := transport.SafeToken(name); safe != "" && (field == "" || safe < field) {
			field, reasons = safe, said
		}
	}
	switch typed := refused.(type) {
	case string:
		add(typed, nil)
	case map[string]any:
		for name, said := range typed {
			add(name, said)
		}
	case []any:
		for _, one := range typed {
			if name, ok := one.(string); ok && nameAt == "" {
				add(name, nil)
			} else if nameAt != "" {
				named, _ := manifest.Look(one, nameAt)
				if several, ok := named.([]any); ok && len(several) > 0 {
					named = several[0]
				}
				name, _ := named.(string)
				add(name, nil)
			}
		}
	}
	return field, transport.WithReasons(message, reasons)
}

// means is the manifest's word on a refusal, where it has one. Only the
// system's own refusals are asked for, never a proxy's page.
func (c *client) means(status int, said transport.VendorError) fault.Code {
	if !said.Known {
		return ""
	}
	for _, one := range c.manifest.Errors.Cases {
		if (one.Status == 0 || one.Status == status) && (one.Code == "" || one.Code == said.Code) {
			return fault.Code(one.Means)
		}
	}
	return ""
}
