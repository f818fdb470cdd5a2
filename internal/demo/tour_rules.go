package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/accord-sync/accord/internal/sandbox/wire"
)

// chat is a room that takes messages by webhook.
type chat struct {
	url    string
	server *http.Server

	mutex    sync.Mutex
	messages []string
}

func newChat(ctx context.Context) (*chat, error) {
	listener, err := listen(ctx, "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open a chat: %w", err)
	}
	c := &chat{url: "http://" + listener.Addr().String() + "/hook"}
	c.server = &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		c.mutex.Lock()
		defer c.mutex.Unlock()
		c.messages = append(c.messages, string(raw))
	})}
	go func() { _ = c.server.Serve(listener) }() // it ends with close
	return c, nil
}

func (c *chat) close() { _ = c.server.Close() }

func (c *chat) said() []string {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return append([]string(nil), c.messages...)
}

// tourRules has a deal won in SalesOS become an order in Acme and a message in a chat.
func tourRules(ctx context.Context, p *Play) (string, error) {
	room, err := newChat(ctx)
	if err != nil {
		return "", err
	}
	defer room.close()
	return at(ctx, p, "salesos-orders.yaml", nil, func(w *place) (string, error) {
		w.secrets["chat_webhook"] = room.url
		w.variables["SALESOS_LATE_BY"], w.variables["ACME_LATE_BY"] = "1s", "1s"
		rep, err := w.left.CreateRecord(ctx, usersObject, map[string]any{"name": "Paula Reis", "email": "paula@example.com"})
		if err != nil {
			return "", fmt.Errorf("create as a user on SalesOS: %w", err)
		}
		if err := w.begin(ctx); err != nil {
			return "", err
		}
		if _, err := p.await(ctx, "the connection to be active", loadPatience, func(ctx context.Context) (bool, string, error) {
			now, err := p.api.connection(ctx, w.connection.ID)
			return now.State == "active", now.State, err
		}); err != nil {
			return "", err
		}
		if err := w.idle(ctx); err != nil {
			return "", err
		}
		deal, err := w.left.CreateRecord(ctx, dealsObject, map[string]any{"name": "Casa 7", "value": 75000, "owner_id": rep.ID, "contact_name": "Rui Melo", "contact_email": "rui@example.com"})
		if err != nil {
			return "", fmt.Errorf("create as a user on SalesOS: %w", err)
		}
		if _, err := w.left.EditRecord(ctx, dealsObject, deal.ID, map[string]any{"status": "won"}); err != nil {
			return "", fmt.Errorf("win a deal as a user on SalesOS: %w", err)
		}
		return w.ordered(ctx, room, deal)
	})
}

// ordered waits for the order and the message, and sees that an edit brings no second one.
func (w *place) ordered(ctx context.Context, room *chat, deal wire.Record) (string, error) {
	order, err := w.only(ctx, w.right, "orders", "external_ref", deal.ID)
	if err != nil {
		return "", err
	}
	told, err := w.p.await(ctx, "a message in the chat", patience, func(context.Context) (bool, string, error) {
		said := room.said()
		return len(said) > 0, strings.Join(said, " | "), nil
	})
	if err != nil {
		return told, err
	}
	if _, err := w.left.EditRecord(ctx, dealsObject, deal.ID, map[string]any{"value": 80000}); err != nil {
		return told, fmt.Errorf("edit as a user on SalesOS: %w", err)
	}
	read, err := w.value(ctx, w.right, "orders", order.ID, "amount.value", "80000")
	if err != nil {
		return told, err
	}
	if err := w.quiet(ctx); err != nil {
		return read, err
	}
	read = fmt.Sprintf("the deal became order %s, and the chat heard %s\nafter an edit of the deal: %s; messages in all: %d", order.ID, told, read, len(room.said()))
	if said := room.said(); len(said) != 1 || !strings.Contains(said[0], "Paula Reis won Casa 7") {
		err = errors.New("expected one message that names the owner and the deal; read: " + strings.Join(said, " | "))
	}
	return read, err
}
