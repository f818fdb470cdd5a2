//go:build unix

package devserver

import (
	"errors"
	"os"
	"syscall"
)

// tryLock takes an exclusive lock without waiting; errLocked when somebody else has it.
func tryLock(file *os.File) error {
	err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}
