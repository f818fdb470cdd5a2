package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// postgres is a Postgres server of its own, set up as it comes.
type postgres struct {
	address string
	server  *process
}

func (p *postgres) stop() { p.server.end(syscall.SIGINT) }

// cpu is the time of the server and all its processes, ended ones too.
func (p *postgres) cpu() time.Duration { return familyCPU(p.server.cmd.Process.Pid) }

// startPostgres makes a cluster and starts it with the settings that Postgres
// comes with: commits wait for the disk. As root it runs as the user postgres,
// since Postgres refuses to run as root.
func (b *bench) startPostgres(ctx context.Context) (*postgres, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(found) == 0 {
		return nil, errors.New("no Postgres under /usr/lib/postgresql: install the package postgresql")
	}
	slices.Sort(found)
	bin := found[len(found)-1]
	folder, err := os.MkdirTemp("", "accord-bench-postgres-")
	if err != nil {
		return nil, err
	}
	as, err := unprivileged(folder)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(folder, "data")
	setup := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), "-D", data, "-U", "accord", "--auth=trust", "--encoding=UTF8", "--no-locale")
	setup.Dir, setup.SysProcAttr = folder, as
	if out, err := setup.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	p := &postgres{
		address: "postgres://accord@" + address + "/postgres?sslmode=disable",
		server: &process{
			name: "postgres", as: as, remove: folder, log: filepath.Join(b.dir, "postgres.log"), env: os.Environ(), dir: folder,
			args: []string{filepath.Join(bin, "postgres"), "-D", data, "-h", "127.0.0.1", "-p", port, "-k", folder},
		},
	}
	if err := p.server.start(ctx); err != nil {
		return nil, err
	}
	return p, eventually(ctx, "Postgres answers", func(ctx context.Context) (bool, string) {
		ready := exec.CommandContext(ctx, filepath.Join(bin, "pg_isready"), "-h", "127.0.0.1", "-p", port)
		out, err := ready.CombinedOutput()
		return err == nil, string(out) + p.server.tail()
	})
}

// unprivileged gives a folder to the user postgres and says how to run as that
// user; nil when we are not root.
func unprivileged(folder string) (*syscall.SysProcAttr, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	account, err := user.Lookup("postgres")
	if err != nil {
		return nil, fmt.Errorf("find the user to run Postgres as: %w", err)
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	if err := os.Chown(folder, int(uid), int(gid)); err != nil {
		return nil, err
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}, nil
}

// familyCPU is the processor time of a process, its ended children and its living ones.
func familyCPU(parent int) time.Duration {
	total := ticksOf(parent, 4)
	found, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return total
	}
	for _, path := range found {
		raw, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended meanwhile
		}
		fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
		if len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			if err == nil {
				total += ticksOf(pid, 2)
			}
		}
	}
	return total
}
