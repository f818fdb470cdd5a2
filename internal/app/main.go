package app

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/accord-sync/accord/internal/config"
	"github.com/accord-sync/accord/internal/fault"
)

// Main runs one part as a whole process, set up by the environment, until it is
// told to stop (SIGINT, SIGTERM; a second one ends it at once). It returns the exit code.
func Main(service string, need config.Need, run func(context.Context, Process) error) int {
	ctx, stop := Signals()
	defer stop()
	err := Part(ctx, service, need, run)
	return Report(os.Stderr, service, err)
}

// Part sets one part up by the environment and runs it.
func Part(ctx context.Context, service string, need config.Need, run func(context.Context, Process) error) error {
	process, err := Environment(ctx, os.Getenv, service, Version(), need)
	if err != nil {
		return err
	}
	process.Telemetry.UseGlobally()
	err = run(ctx, process)
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if flushed := process.Telemetry.Shutdown(last); flushed != nil {
		process.Telemetry.Log.Warn("the last traces were not sent")
	}
	return err
}

// Signals is a context that ends when the process is told to stop. The second
// signal kills it.
func Signals() (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Report prints what ended a process and returns its exit code.
func Report(out io.Writer, name string, err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintf(out, "%s: %s\n", name, err)
	return fault.ExitCode(fault.CodeOf(err))
}

// Version is the version this binary was built as: the module's, else the
// revision, else "devel".
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "devel"
	}
	if info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
			return "devel+" + setting.Value[:12]
		}
	}
	return "devel"
}
