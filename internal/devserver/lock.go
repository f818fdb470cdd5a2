package devserver

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// lockFile is the name, inside the data folder, of the file whose lock means "in use". The lock belongs to the open
// file and dies with the process, so that a kill never leaves a stale one; the file itself stays.
const lockFile = "temporal.lock"

// errLocked says that another open file holds the lock.
var errLocked = errors.New("locked by another process")

// folderLock is the right to use a data folder.
type folderLock struct {
	file *os.File
}

// lockFolder takes the lock of dir at once or says who has it.
func lockFolder(dir string) (*folderLock, error) {
	path := filepath.Join(dir, lockFile)
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot write in the Temporal data folder %s: fix its permissions or choose another folder: %w", dir, err)
	}
	if err := tryLock(file); err != nil {
		holder := readHolder(path)
		_ = file.Close()
		if errors.Is(err, errLocked) {
			return nil, fmt.Errorf("the Temporal data folder %s is in use%s: stop that process or choose another data folder: %w", dir, holder, err)
		}
		return nil, fmt.Errorf("cannot lock the Temporal data folder %s: choose a folder on a local disk: %w", dir, err)
	}
	if err := writeHolder(file); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("cannot write %s: make sure that the disk is not full: %w", path, err)
	}
	return &folderLock{file: file}, nil
}

// release gives the folder up.
func (l *folderLock) release() {
	// Closing drops the lock; nothing was written that a failed close could lose.
	_ = l.file.Close()
}

func writeHolder(file *os.File) error {
	if err := file.Truncate(0); err != nil {
		return err
	}
	_, err := file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// readHolder is " by process N" when the lock file tells, for the error message only.
func readHolder(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(content)))
	if err != nil {
		return ""
	}
	return fmt.Sprintf(" by process %d", pid)
}
