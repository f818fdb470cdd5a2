package transport_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector/transport"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/record"
)

func row(fields record.Fields) record.Record {
	id, _ := transport.ParseID(fields["id"])
	return record.Record{Ref: record.Ref{Side: record.Left, Object: "leads", ID: id}, Fields: fields}
}

func TestRemoved(t *testing.T) {
	for name, test := range map[string]struct {
		fields record.Fields
		want   bool
	}{
		"a time":            {record.Fields{"deleted_at": "2026-11-22T12:00:00Z"}, true},
		"epoch":             {record.Fields{"deleted_at": json.Number("1795348800")}, true},
		"a flag":            {record.Fields{"deleted": true}, true},
		"another flag":      {record.Fields{"is_deleted": true}, true},
		"no time":           {record.Fields{"deleted_at": nil, "deleted": false}, false},
		"an empty time":     {record.Fields{"deleted_at": ""}, false},
		"says nothing":      {record.Fields{"id": "1"}, false},
		"a text is no flag": {record.Fields{"deleted": "no"}, false},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, test.want, transport.Removed(test.fields)) })
	}
}

func TestLiving(t *testing.T) {
	rows := []record.Record{row(record.Fields{"id": "1"}), row(record.Fields{"id": "2", "deleted": true}), row(record.Fields{"id": "3", "merged_into": "1"}), row(record.Fields{"id": "4", "merged_into": nil})}
	living := transport.Living(rows)
	require.Len(t, living, 2)
	require.Equal(t, "1", living[0].Ref.ID)
	require.Equal(t, "4", living[1].Ref.ID)
}

func TestPresent(t *testing.T) {
	rows := map[string]record.Record{
		"1": row(record.Fields{"id": "1", "merged_into": "2"}), "2": row(record.Fields{"id": "2", "merged_into": json.Number("3")}),
		"3": row(record.Fields{"id": json.Number("3")}), "4": row(record.Fields{"id": "4", "deleted": true}),
		"5": row(record.Fields{"id": "5", "merged_into": "6"}), "6": row(record.Fields{"id": "6", "merged_into": "5"}),
	}
	get := func(id string) (record.Record, error) { return rows[id], nil }
	got, err := transport.Present(rows["1"], "Acme", get)
	require.NoError(t, err)
	require.Equal(t, "3", got.Ref.ID, "the survivor of the survivor")
	for _, id := range []string{"4", "5"} {
		_, err = transport.Present(rows[id], "Acme", get)
		require.True(t, fault.Is(err, fault.Gone), "%s: %v", id, err)
	}
}
