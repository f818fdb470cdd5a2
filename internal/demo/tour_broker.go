package demo

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/accord-sync/accord/integrations"
	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// tourNATS takes the events of Acme from a real NATS server.
func tourNATS(ctx context.Context, p *Play) (string, error) {
	path, err := installed("nats-server", "NATS (apt-get install nats-server)")
	if err != nil {
		return "", err
	}
	server, err := p.startProgram(ctx, path, func(started *program) ([]string, error) {
		host, port, err := net.SplitHostPort(started.address)
		return []string{"-js", "-sd", started.dir, "-a", host, "-p", port, "--user", accountName, "--pass", accountPassword}, err
	})
	if err != nil {
		return "", err
	}
	defer server.stop()
	if err := natsStream(ctx, server.address, accountName, accountPassword, "ACME", "acme.>"); err != nil {
		return "", err
	}
	return at(ctx, p, "salesos-acme-nats.yaml", nil, func(w *place) (string, error) {
		return w.byMessage(ctx, wire.Broker{Kind: "nats", URL: "nats://" + server.address, Topic: "acme.events"})
	})
}

// rabbitLines are what differs from the file with webhooks, as the guide of brokers has them.
func rabbitLines() []edited {
	return []edited{{`    webhook: {secret: "${secret:acme_webhook}"}`, "    broker:\n      kind: rabbitmq\n      url: ${ACME_BROKER_URL}\n      exchange: ${ACME_BROKER_EXCHANGE:-crm}\n" +
		"      topic: ${ACME_BROKER_TOPIC:-acme.events}\n      auth: {kind: basic, username: \"${ACME_BROKER_USER:-accord}\", password: \"${secret:acme_broker}\"}"}}
}

// everyExchange is the topic exchange that each RabbitMQ has from the beginning.
const everyExchange = "amq.topic"

// tourRabbitMQ takes the events of Acme from a real RabbitMQ node.
func tourRabbitMQ(ctx context.Context, p *Play) (string, error) {
	path, err := installed("rabbitmq-server", "RabbitMQ (apt-get install rabbitmq-server)")
	if err != nil {
		return "", err
	}
	// Debian's own command changes the user; the server itself lies here.
	if own := "/usr/lib/rabbitmq/bin/rabbitmq-server"; executable(own) {
		path = own
	}
	namesPath, err := installed("epmd", "Erlang (apt-get install erlang-base)")
	if err != nil {
		return "", err
	}
	// The name server of Erlang would else be started beside everything, and stay.
	names, err := p.startProgram(ctx, namesPath, func(started *program) ([]string, error) {
		host, port, err := net.SplitHostPort(started.address)
		return []string{"-port", port, "-address", host}, err
	})
	if err != nil {
		return "", err
	}
	defer names.stop()
	server, err := p.startProgram(ctx, path, func(started *program) ([]string, error) { return nil, started.asRabbit(ctx, names.address) })
	if err != nil {
		return "", err
	}
	defer server.stop()
	return at(ctx, p, integrations.SalesOSAcme, rabbitLines(), func(w *place) (string, error) {
		w.variables["ACME_BROKER_EXCHANGE"] = everyExchange
		return w.byMessage(ctx, wire.Broker{Kind: "rabbitmq", URL: "amqp://" + server.address, Exchange: everyExchange, Topic: "acme.events"})
	})
}

// asRabbit writes the settings of a RabbitMQ node and sets its environment.
func (s *program) asRabbit(ctx context.Context, names string) error {
	var ports []string
	other, err := listen(ctx, "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("find a free port: %w", err)
	}
	_ = other.Close() // it was held to find a free port
	for _, address := range []string{s.address, names, other.Addr().String()} {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return fmt.Errorf("read an address: %w", err)
		}
		ports = append(ports, port)
	}
	files := map[string]string{
		"rabbitmq.conf":     "listeners.tcp.default = " + s.address + "\ndefault_user = " + accountName + "\ndefault_pass = " + accountPassword + "\nlog.console = true\n",
		"enabled_plugins":   "[].\n",
		"rabbitmq-env.conf": "",
	}
	for name, content := range files {
		if files[name], err = s.file(name, content); err != nil {
			return err
		}
	}
	s.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + s.dir, "LANG=C.UTF-8", "ERL_EPMD_PORT=" + ports[1], "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_NODENAME=accord" + ports[0] + "@localhost", "RABBITMQ_DIST_PORT=" + ports[2], "RABBITMQ_CONFIG_FILE=" + files["rabbitmq.conf"],
		"RABBITMQ_MNESIA_BASE=" + filepath.Join(s.dir, "data"), "RABBITMQ_LOG_BASE=" + s.dir, "RABBITMQ_LOGS=-", "RABBITMQ_PID_FILE=" + filepath.Join(s.dir, "pid"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + files["enabled_plugins"], "RABBITMQ_CONF_ENV_FILE=" + files["rabbitmq-env.conf"],
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 1:1 +sbwt none",
	}
	return nil
}

// byMessage has Acme publish, and an edit of Acme arrive by message alone: polls, which
// would bring it too, come once an hour.
func (w *place) byMessage(ctx context.Context, to wire.Broker) (string, error) {
	w.variables["POLL_EVERY"], w.variables["ACME_BROKER_URL"] = "1h", to.URL
	w.secrets["acme_broker"] = accountPassword
	to.Username, to.Password = accountName, accountPassword
	lead, contact, err := w.couple(ctx, "Nina Paz", "nina@example.com")
	if err != nil {
		return "", err
	}
	_, err = w.p.await(ctx, "a worker to have subscribed", loadPatience, func(ctx context.Context) (bool, string, error) {
		now, err := w.p.api.status(ctx, w.connection.ID)
		return now.Sides.Right.Broker.State == "receiving", now.Sides.Right.Broker.State, err
	})
	if err != nil {
		return "", err
	}
	// RabbitMQ keeps messages for those who have asked for them already.
	if err := w.right.PublishTo(ctx, to); err != nil {
		return "", fmt.Errorf("have Acme publish: %w", err)
	}
	if err := w.right.RepeatWebhooks(ctx, 3, 0); err != nil {
		return "", fmt.Errorf("repeat messages: %w", err)
	}
	if _, err := w.right.EditRecord(ctx, contactObject, contact, map[string]any{"job_title": "By message"}); err != nil {
		return "", fmt.Errorf("edit as a user on Acme: %w", err)
	}
	read, err := w.value(ctx, w.left, leadsObject, lead, "position", "By message")
	if err != nil {
		return read, err
	}
	hooks, err := w.right.WebhookCounts(ctx)
	for _, hook := range hooks.Hooks {
		if err == nil && strings.HasPrefix(hook.URL, "http") {
			err = fmt.Errorf("expected Acme to call nobody; read: it calls %s", hook.URL)
		}
	}
	return "by message of " + to.Kind + ", told three times, without a webhook of Acme, polls once an hour: " + read, err
}
