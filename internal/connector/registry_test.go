package connector_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/connector"
	"github.com/accord-sync/accord/internal/fault"
)

func TestAnUnknownConnectorIsToldWhichThereAre(t *testing.T) {
	_, err := connector.NewRegistry().Driver("acmee")
	require.True(t, fault.Is(err, fault.Usage))
	require.ErrorContains(t, err, `"acmee" is not known`)
	require.ErrorContains(t, err, "rest with a manifest")
}
