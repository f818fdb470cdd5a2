package config

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/fault"
)

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func goodKey() string {
	return base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", KeyBytes)))
}

func TestLoadDefaults(t *testing.T) {
	settings, err := Load(env(nil), Need{})
	require.NoError(t, err)
	require.Equal(t, Settings{Lease: DefaultLease, Housekeeping: DefaultHousekeeping, TaskQueue: DefaultTaskQueue, Log: logrus.InfoLevel}, settings)
}

func TestLoadEverything(t *testing.T) {
	settings, err := Load(env(map[string]string{
		EnvDB: "sqlite:/var/lib/accord/accord.db", EnvKey: goodKey(), EnvToken: "a-long-token", EnvListen: ":9090",
		EnvPublicURL: "https://accord.example.com/", EnvAllowPrivate: "127.0.0.0/8, 10.1.2.3", EnvLease: "2s", EnvHousekeeping: "3s",
		EnvTaskQueue: "other", EnvLog: "debug",
	}), Need{Ledger: true, Token: true})
	require.NoError(t, err)
	require.Equal(t, []byte(strings.Repeat("k", KeyBytes)), settings.Key)
	require.Equal(t, "https://accord.example.com", settings.PublicURL)
	require.Equal(t, "127.0.0.0/8", settings.AllowPrivate[0].String())
	require.Equal(t, "10.1.2.3/32", settings.AllowPrivate[1].String())
	require.Equal(t, 2*time.Second, settings.Lease)
	require.Equal(t, 3*time.Second, settings.Housekeeping)
	require.Equal(t, "other", settings.TaskQueue)
	require.Equal(t, logrus.DebugLevel, settings.Log)
	require.Equal(t, ":9090", settings.Listen)
}

func TestLoadNamesEveryMistake(t *testing.T) {
	tests := map[string]struct{ value, says string }{
		EnvDB:           {"mysql://root:hunter2@db/x", "sqlite:FILE"},
		EnvKey:          {"c2hvcnQ=", "32 bytes in base64"},
		EnvListen:       {"localhost", "host:port"},
		EnvPublicURL:    {"accord.example.com", "http:// or https://"},
		EnvAllowPrivate: {"10.0.0.0/33", "address ranges"},
		EnvLease:        {"100ms", "from 1s"},
		EnvHousekeeping: {"2h", "for example 5m"},
		EnvTaskQueue:    {strings.Repeat("q", 201), "longer than 200"},
		EnvLog:          {"loud", "debug, info"},
	}
	all := map[string]string{}
	for name, tt := range tests {
		all[name] = tt.value
		t.Run(name, func(t *testing.T) {
			_, err := Load(env(map[string]string{name: tt.value}), Need{})
			require.Equal(t, fault.Usage, fault.CodeOf(err))
			require.Contains(t, err.Error(), name)
			require.Contains(t, err.Error(), tt.says)
			require.NotContains(t, err.Error(), "hunter2")
		})
	}
	_, err := Load(env(all), Need{})
	require.Len(t, fault.As(err).Details, len(tests))
}

func TestLoadMissing(t *testing.T) {
	_, err := Load(env(nil), Need{Ledger: true, Token: true})
	for _, name := range []string{EnvDB, EnvKey, EnvToken} {
		require.ErrorContains(t, err, name+": is not set")
	}
}

func TestParseKeyTakesBothAlphabets(t *testing.T) {
	raw := []byte(strings.Repeat("\xfb\xff", KeyBytes/2))
	for _, text := range []string{
		base64.StdEncoding.EncodeToString(raw), base64.URLEncoding.EncodeToString(raw),
		base64.RawStdEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw) + "\n",
	} {
		key, err := ParseKey(text)
		require.NoError(t, err)
		require.Equal(t, raw, key)
	}
	_, err := ParseKey("not base64 at all, is it")
	require.Error(t, err)
}
