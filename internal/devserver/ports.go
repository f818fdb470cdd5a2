package devserver

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/primitives"
)

// loopback is where the services that only talk to each other listen.
const loopback = "127.0.0.1"

// portSet holds one listener per service until the server takes the ports over: the server insists on opening them
// itself, and ends the process when it cannot, so that every port is tried here first.
type portSet struct {
	listeners map[primitives.ServiceName]*net.TCPListener
}

// reservePorts opens the frontend's address and a free loopback port for each other service.
func reservePorts(listen string) (*portSet, error) {
	frontend, err := listenOn("the embedded Temporal server", listen)
	if err != nil {
		return nil, err
	}
	set := &portSet{listeners: map[primitives.ServiceName]*net.TCPListener{primitives.FrontendService: frontend}}
	for _, name := range []primitives.ServiceName{primitives.HistoryService, primitives.MatchingService, primitives.WorkerService} {
		listener, err := listenOn("the embedded Temporal server's "+string(name)+" service", net.JoinHostPort(loopback, "0"))
		if err != nil {
			set.release()
			return nil, err
		}
		set.listeners[name] = listener
	}
	return set, nil
}

// listenOn opens a TCP address and, when it cannot, says who wanted it and what to do.
func listenOn(who, address string) (*net.TCPListener, error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%s cannot listen on %q: give host:port, for example 127.0.0.1:7233: %w", who, address, err)
	}
	listener, err := net.ListenTCP("tcp", resolved)
	switch {
	case err == nil:
		return listener, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s cannot listen on %s: the port is in use: stop the program that holds it or choose another port: %w", who, address, err)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("%s may not listen on %s: choose a port above 1023: %w", who, address, err)
	default:
		return nil, fmt.Errorf("%s cannot listen on %s: choose an address of this machine: %w", who, address, err)
	}
}

// release frees the ports for their real owners; the addresses stay known. Calling it again does nothing.
func (p *portSet) release() {
	for _, listener := range p.listeners {
		// The listener never accepted anything; there is nothing to lose or to report.
		_ = listener.Close()
	}
}

// clientAddress is where the frontend is reached from this machine, also when it listens on all interfaces.
func (p *portSet) clientAddress() string {
	return reachable(p.tcpAddr(primitives.FrontendService))
}

func (p *portSet) tcpAddr(name primitives.ServiceName) *net.TCPAddr {
	addr, _ := p.listeners[name].Addr().(*net.TCPAddr)
	return addr
}

func (p *portSet) staticHosts() map[primitives.ServiceName]static.Hosts {
	hosts := map[primitives.ServiceName]static.Hosts{}
	for name := range p.listeners {
		hosts[name] = static.SingleLocalHost(reachable(p.tcpAddr(name)))
	}
	return hosts
}

func (p *portSet) services() map[string]config.Service {
	services := map[string]config.Service{}
	for name := range p.listeners {
		addr := p.tcpAddr(name)
		services[string(name)] = config.Service{RPC: config.RPC{GRPCPort: addr.Port, BindOnIP: addr.IP.String()}}
	}
	return services
}

// reachable turns a listening address into one to connect to: "all interfaces" becomes loopback.
func reachable(addr *net.TCPAddr) string {
	host := addr.IP.String()
	if addr.IP.IsUnspecified() {
		host = loopback
	}
	return net.JoinHostPort(host, strconv.Itoa(addr.Port))
}
