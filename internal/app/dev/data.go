package dev

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/accord-sync/accord/internal/config"
	"github.com/accord-sync/accord/internal/fault"
)

// data is an opened data folder with the settings that belong to it.
type data struct {
	settings config.Settings
	// keyFile and tokenFile are empty when the environment gave the value.
	keyFile, tokenFile string
	// fromEnvironment is set when ACCORD_DB names the ledger.
	fromEnvironment bool
}

// openData makes the folder, and a key and a token in it where the environment
// gives none. The environment is for the rest as for any process.
func openData(options Options) (data, error) {
	dir, err := filepath.Abs(options.DataDir)
	if err != nil || options.DataDir == "" {
		return data{}, fault.New(fault.Usage, "--data must name a folder")
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return data{}, folderFault(err, dir)
	}
	settings, err := config.Load(options.Getenv, config.Need{})
	if err != nil {
		return data{}, err
	}
	opened := data{settings: settings, fromEnvironment: settings.DB != ""}
	if opened.settings.DB == "" {
		opened.settings.DB = "sqlite:" + filepath.Join(dir, LedgerFile)
	}
	if options.PublicURL != "" {
		if opened.settings.PublicURL, err = config.ParsePublicURL(options.PublicURL); err != nil {
			return data{}, err
		}
	}
	if len(settings.Key) == 0 {
		opened.keyFile = filepath.Join(dir, KeyFile)
		text, err := keep(opened.keyFile, func(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) })
		if err != nil {
			return data{}, err
		}
		if opened.settings.Key, err = config.ParseKey(text); err != nil {
			return data{}, fault.Wrap(fault.Usage, err, "%s does not hold a key of %d bytes in base64; restore it: without it the secrets in the ledger cannot be read", opened.keyFile, config.KeyBytes)
		}
	}
	if settings.Token == "" {
		opened.tokenFile = filepath.Join(dir, TokenFile)
		opened.settings.Token, err = keep(opened.tokenFile, func(raw []byte) string { return hex.EncodeToString(raw[:24]) })
		if err != nil {
			return data{}, err
		}
		if len(opened.settings.Token) < config.MinToken {
			return data{}, fault.New(fault.Usage, "%s does not hold a token; delete it to get a new one", opened.tokenFile)
		}
	}
	return opened, nil
}

// keep reads a secret from a file, or makes one of 32 random bytes. The file
// appears whole or not at all, readable by its owner only; of two processes
// that make it at once, both take what the first one wrote.
func keep(path string, text func(raw []byte) string) (string, error) {
	have, err := os.ReadFile(path)
	if err == nil {
		return strings.TrimSpace(string(have)), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", folderFault(err, path)
	}
	raw := make([]byte, config.KeyBytes)
	if _, err := rand.Read(raw); err != nil {
		return "", fault.Wrap(fault.Internal, err, "this machine gives no randomness")
	}
	if err := writeOnce(path, text(raw)+"\n"); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", folderFault(err, path)
	}
	if have, err = os.ReadFile(path); err != nil {
		return "", folderFault(err, path)
	}
	return strings.TrimSpace(string(have)), nil
}

// writeOnce writes beside the file, syncs, and links it into place if nobody else has.
func writeOnce(path, text string) error {
	draft, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(draft.Name()) }() // the link, if made, stays
	_, err = draft.WriteString(text)
	err = errors.Join(err, draft.Sync(), draft.Close())
	if err != nil {
		return err
	}
	return os.Link(draft.Name(), path)
}

// folderFault says what is wrong with a file of the data folder.
func folderFault(err error, path string) error {
	reason := err
	var inner *fs.PathError
	if errors.As(err, &inner) {
		reason = inner.Err
	}
	return fault.Wrap(fault.Usage, err, "cannot use %s (%s): choose another folder with --data, or mend its permissions", path, reason)
}
