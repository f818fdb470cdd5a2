package dev

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/accord-sync/accord/internal/config"
)

func options(dir string, env map[string]string) Options {
	return Options{DataDir: dir, Getenv: func(name string) string { return env[name] }}
}

func TestDataFolderKeepsKeyAndToken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "folder")
	first, err := openData(options(dir, nil))
	require.NoError(t, err)
	require.Len(t, first.settings.Key, config.KeyBytes)
	require.Len(t, first.settings.Token, 48)
	require.Equal(t, "sqlite:"+filepath.Join(dir, LedgerFile), first.settings.DB)
	for _, name := range []string{KeyFile, TokenFile} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	}
	second, err := openData(options(dir, nil))
	require.NoError(t, err)
	require.Equal(t, first.settings, second.settings)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 2, "no drafts are left behind")
}

func TestTheEnvironmentComesFirst(t *testing.T) {
	key := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", config.KeyBytes)))
	dir := t.TempDir()
	opened, err := openData(options(dir, map[string]string{
		config.EnvKey: key, config.EnvToken: "a-long-token", config.EnvDB: "postgres://u:hunter2@db/accord", config.EnvPublicURL: "https://a.example.com",
		config.EnvAllowPrivate: "127.0.0.0/8, 10.1.2.3",
	}))
	require.NoError(t, err)
	require.Equal(t, "a-long-token", opened.settings.Token)
	require.Equal(t, "https://a.example.com", opened.settings.PublicURL)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left)
	var told strings.Builder
	opened.tell(&told, Addresses{API: "http://127.0.0.1:1", Temporal: "127.0.0.1:2", Token: "a-long-token"})
	require.NotContains(t, told.String(), "hunter2")
	require.NotContains(t, told.String(), "a-long-token")
	require.Contains(t, told.String(), "export TEMPORAL_ADDRESS='127.0.0.1:2' ACCORD_PUBLIC_URL='https://a.example.com' ACCORD_ALLOW_PRIVATE='127.0.0.0/8,10.1.2.3/32'\n")
	require.Contains(t, told.String(), "http://127.0.0.1:1/console/")
}

func TestTwoProcessesMakeOneKey(t *testing.T) {
	dir := t.TempDir()
	keys := make([]string, 8)
	var makers sync.WaitGroup
	for i := range keys {
		makers.Go(func() {
			opened, err := openData(options(dir, nil))
			if err == nil {
				keys[i] = string(opened.settings.Key)
			}
		})
	}
	makers.Wait()
	for _, key := range keys {
		require.Len(t, key, config.KeyBytes)
		require.Equal(t, keys[0], key)
	}
}

func TestQuoted(t *testing.T) {
	require.Equal(t, `'it'\''s'`, quoted("it's"))
}
