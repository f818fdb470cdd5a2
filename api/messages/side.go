package messages

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/accord-sync/accord/api/webhook"
	"github.com/accord-sync/accord/internal/broker"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/internal/record"
)

// The states of ledger.BrokerState.
const (
	stateReceiving = "receiving"
	stateFailed    = "failed"
)

const (
	// tellEvery spares the ledger when messages follow each other.
	tellEvery = time.Minute
	// lastWord bounds what is said to the ledger after the end.
	lastWord = 5 * time.Second
)

// listener receives for one side of one connection.
type listener struct {
	options Options
	key     ledger.Key
	side    record.Side
	config  broker.Config

	publisher broker.Publisher
	failures  int
	told      ledger.BrokerState
	toldTaken time.Time
}

// run subscribes, and subscribes again whenever the broker is lost or the ledger
// does not take what came: what was not acknowledged comes again then.
func (l *listener) run(ctx context.Context) {
	defer l.closePublisher()
	for ctx.Err() == nil {
		err := l.receive(ctx)
		if ctx.Err() != nil {
			return
		}
		l.failures++
		wait := backoff(l.failures)
		code := fault.CodeOf(err)
		l.log().WithField("code", string(code)).WithField("wait", wait.Round(time.Millisecond).String()).Warn("messages are not received; trying again: " + words(err))
		l.tell(ctx, ledger.BrokerState{State: stateFailed, Reason: string(code)})
		l.closePublisher()
		if !pause(ctx, wait) {
			return
		}
	}
}

func (l *listener) log() logrus.FieldLogger {
	return l.options.Log.WithField("connection", l.key.Connection).WithField("side", string(l.side)).WithField("broker", string(l.config.Kind))
}

// words is an error for people, without the cause, which may quote anything.
func words(err error) string {
	if coded := fault.As(err); coded != nil {
		return coded.Error()
	}
	return "an unexpected error"
}

// receive works on one subscription until it fails or ctx ends.
func (l *listener) receive(ctx context.Context) error {
	subscription, err := l.options.Subscribe(ctx, l.config)
	if err != nil {
		return err
	}
	defer subscription.Close()
	l.options.Observe.Subscribed(l.config.Kind, 1)
	defer l.options.Observe.Subscribed(l.config.Kind, -1)
	l.log().Info("messages are received")
	l.tell(ctx, ledger.BrokerState{State: stateReceiving})
	for {
		batch, err := subscription.Receive(ctx)
		if err != nil {
			return err
		}
		if err := l.handle(ctx, subscription, batch); err != nil {
			return err
		}
		l.failures = 0
	}
}

// handle stores a batch and then acknowledges it. A batch that the ledger does not
// take is left with the broker.
func (l *listener) handle(ctx context.Context, subscription broker.Subscription, batch []broker.Message) error {
	messages := make([]webhook.Message, len(batch))
	large := map[int]error{}
	for n, one := range batch {
		messages[n] = webhook.Message{Header: one.Header, Body: one.Body}
		if len(one.Body) > broker.MaxBody {
			messages[n].Body = nil // it is refused below
			large[n] = fault.New(fault.TooLarge, "the message is larger than %d bytes", broker.MaxBody)
		}
	}
	refused, err := l.options.Inbox.Take(ctx, l.key.Connection, l.side, messages)
	if err != nil {
		l.options.Observe.Messages(l.side, l.config.Kind, "again", len(batch))
		return err
	}
	for n, err := range large {
		refused[n] = err
	}
	var stored, aside, dropped []broker.Message
	for n, one := range batch {
		if refused[n] == nil {
			stored = append(stored, one)
			continue
		}
		kept, err := l.putAside(ctx, one, refused[n])
		switch {
		case err != nil:
			return err
		case kept:
			aside = append(aside, one)
		default:
			dropped = append(dropped, one)
		}
	}
	if unreadable := len(aside) + len(dropped); unreadable > 0 {
		l.options.Observe.Messages(l.side, l.config.Kind, "unreadable", unreadable)
		l.tellUnreadable(ctx, unreadable, refused)
		if err := dispose(ctx, subscription, aside, dropped); err != nil {
			return err
		}
	}
	if len(stored) == 0 {
		return nil
	}
	l.options.Observe.Messages(l.side, l.config.Kind, "stored", len(stored))
	l.tellTaken(ctx)
	return subscription.Acknowledge(ctx, stored)
}

// putAside publishes what cannot be read to the topic for such, if there is one. Where
// that one cannot be, the message is not kept: it would hold up all the others.
func (l *listener) putAside(ctx context.Context, message broker.Message, reason error) (kept bool, err error) {
	l.log().WithField("code", string(fault.CodeOf(reason))).Error("a message cannot be read and is put aside: " + words(reason))
	if l.config.Unreadable == "" {
		return false, nil
	}
	err = l.publishAside(ctx, message, reason)
	if fault.Is(err, fault.Usage, fault.TooLarge, fault.Invalid) {
		l.log().WithField("code", string(fault.CodeOf(err))).Error("broker.unreadable does not take a message, which is refused instead: " + words(err))
		l.closePublisher()
		return false, nil
	}
	return err == nil, err
}

func (l *listener) publishAside(ctx context.Context, message broker.Message, reason error) error {
	if l.publisher == nil {
		var err error
		config := l.config
		config.Exchange = "" // what is put aside goes straight to its queue
		if l.publisher, err = l.options.Publisher(ctx, config); err != nil {
			return err
		}
	}
	copied := broker.Message{ID: message.ID, Header: message.Header.Clone(), Body: message.Body}
	if copied.Header == nil {
		copied.Header = map[string][]string{}
	}
	copied.Header.Set("Accord-Reason", string(fault.CodeOf(reason)))
	return l.publisher.Publish(ctx, l.config.Unreadable, copied)
}

// dispose ends unreadable messages: those that stand elsewhere now are dealt with,
// the others are refused, so that the broker can keep them.
func dispose(ctx context.Context, subscription broker.Subscription, aside, dropped []broker.Message) error {
	if len(aside) > 0 {
		if err := subscription.Acknowledge(ctx, aside); err != nil {
			return err
		}
	}
	if len(dropped) == 0 {
		return nil
	}
	return subscription.Refuse(ctx, dropped)
}

func (l *listener) closePublisher() {
	if l.publisher != nil {
		l.publisher.Close()
		l.publisher = nil
	}
}

// tell keeps the state of the subscription for the status, if it is news.
func (l *listener) tell(ctx context.Context, now ledger.BrokerState) {
	if l.told.State == now.State && l.told.Reason == now.Reason {
		return
	}
	l.change(ctx, func(state *ledger.BrokerState) {
		state.State, state.Reason, state.At = now.State, now.Reason, l.options.Store.Clock()
	}, func() { l.told = now })
}

func (l *listener) tellTaken(ctx context.Context) {
	now := l.options.Store.Clock()
	if now.Sub(l.toldTaken).Abs() < tellEvery {
		return
	}
	l.change(ctx, func(state *ledger.BrokerState) { state.TakenAt = now }, func() { l.toldTaken = now })
}

func (l *listener) tellUnreadable(ctx context.Context, count int, refused map[int]error) {
	now := l.options.Store.Clock()
	code := ""
	for _, err := range refused {
		code = string(fault.CodeOf(err))
	}
	l.change(ctx, func(state *ledger.BrokerState) {
		state.Unreadable += count
		state.UnreadableAt, state.UnreadableCode = now, code
	}, func() {})
}

// change writes what is known of the side's broker. A ledger that does not answer
// hears of the next change.
func (l *listener) change(ctx context.Context, change func(*ledger.BrokerState), done func()) {
	ctx, cancel := context.WithTimeout(ctx, lastWord)
	defer cancel()
	if _, err := l.options.Store.UpdateSideState(ctx, l.key, l.side, func(state *ledger.SideState) { change(&state.Broker) }); err != nil {
		l.log().WithField("code", string(fault.CodeOf(err))).Debug("the ledger was not told how the subscription is")
		return
	}
	done()
}
