package devserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
)

// webUI is Temporal's web page, served by this process.
type webUI struct {
	server *uiserver.Server
	done   chan struct{}
	url    string
}

// startUI serves the UI on listen for the frontend at grpcAddress and returns when it answers.
func startUI(ctx context.Context, listen, grpcAddress, namespace string) (*webUI, error) {
	// The UI server ends the process when its port is taken, so the port is tried first.
	probe, err := listenOn("the Temporal UI", listen)
	if err != nil {
		return nil, err
	}
	addr, ok := probe.Addr().(*net.TCPAddr)
	if err := probe.Close(); err != nil || !ok {
		return nil, fmt.Errorf("the Temporal UI cannot use %s: choose another address: %w", listen, err)
	}
	host := addr.IP.String()
	if addr.IP.To4() == nil {
		host = "[" + host + "]"
	}
	ui := &webUI{
		url:  "http://" + reachable(addr),
		done: make(chan struct{}),
		server: uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
			TemporalGRPCAddress: grpcAddress,
			Host:                host,
			Port:                addr.Port,
			EnableUI:            true,
			DefaultNamespace:    namespace,
			// Plain HTTP on one machine: a Secure cookie would never come back.
			CORS:             uiconfig.CORS{CookieInsecure: true},
			DisableNewsFetch: true,
			HideLogs:         true,
		})),
	}
	go func() {
		defer close(ui.done)
		// It returns nil when closed and ends the process otherwise; there is no error to carry.
		_ = ui.server.Start()
	}()
	if err := ui.waitReady(ctx); err != nil {
		ui.stop()
		return nil, err
	}
	return ui, nil
}

func (u *webUI) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		err := u.healthy(ctx)
		if err == nil {
			return nil
		}
		if pauseErr := pause(ctx, readyPoll); pauseErr != nil {
			return fmt.Errorf("the Temporal UI on %s did not become ready: %w", u.url, errors.Join(pauseErr, err))
		}
	}
}

func (u *webUI) healthy(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.url+"/healthz", http.NoBody)
	if err != nil {
		return fmt.Errorf("ask the Temporal UI for its health: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask the Temporal UI for its health: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("the Temporal UI answers %s", response.Status)
	}
	return nil
}

// stop closes the page and waits until it is gone.
func (u *webUI) stop() {
	u.server.Stop()
	<-u.done
}
