package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	enums "go.temporal.io/api/enums/v1"
	history "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	temporalclient "go.temporal.io/sdk/client"
	temporallog "go.temporal.io/sdk/log"
)

// namespace is the one of the embedded Temporal.
const namespace = "default"

// quietLog drops what the SDK says.
type quietLog struct{}

func (quietLog) Debug(string, ...any) {}
func (quietLog) Info(string, ...any)  {}
func (quietLog) Warn(string, ...any)  {}
func (quietLog) Error(string, ...any) {}

var _ temporallog.Logger = quietLog{}

func dial(address string) (temporalclient.Client, error) {
	return temporalclient.Dial(temporalclient.Options{HostPort: address, Namespace: namespace, Logger: quietLog{}})
}

// actions counts what Temporal's cloud would bill as actions in all histories
// between two times: starts of workflows (a continued one is a new start),
// activities and each repetition of one, timers, signals, updates, children,
// search attributes, markers. Workflow tasks are no actions. Heartbeats are, and
// are not in histories: see heartbeats.
//
// Only workflows of the given types are counted; without any, all but those of
// the program with one workflow per record.
func actions(ctx context.Context, address string, from, to time.Time, types ...string) (int, error) {
	temporal, err := dial(address)
	if err != nil {
		return 0, err
	}
	defer temporal.Close()
	total := 0
	var token []byte
	for {
		listed, err := temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: namespace, PageSize: 500, NextPageToken: token})
		if err != nil {
			return 0, fmt.Errorf("list workflows: %w", err)
		}
		for _, one := range listed.GetExecutions() {
			kind := one.GetType().GetName()
			if len(types) > 0 && !slices.Contains(types, kind) || len(types) == 0 && kind == "syncRecord" {
				continue
			}
			if closed := one.GetCloseTime(); closed != nil && closed.AsTime().Before(from) || one.GetStartTime().AsTime().After(to) {
				continue
			}
			n, err := actionsOf(ctx, temporal, one.GetExecution().GetWorkflowId(), one.GetExecution().GetRunId(), from, to)
			if err != nil {
				return 0, err
			}
			total += n
		}
		if token = listed.GetNextPageToken(); len(token) == 0 {
			return total, nil
		}
	}
}

func actionsOf(ctx context.Context, temporal temporalclient.Client, id, run string, from, to time.Time) (int, error) {
	total := 0
	events := temporal.GetWorkflowHistory(ctx, id, run, false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		var gone *serviceerror.NotFound
		if errors.As(err, &gone) {
			return total, nil
		}
		if err != nil {
			return 0, fmt.Errorf("read the history of %s: %w", id, err)
		}
		if at := event.GetEventTime().AsTime(); !at.Before(from) && !at.After(to) {
			total += billed(event)
		}
	}
	return total, nil
}

// billed is how many actions an event is, after Temporal's list of them.
func billed(event *history.HistoryEvent) int {
	switch event.GetEventType() {
	case enums.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED, enums.EVENT_TYPE_TIMER_STARTED, enums.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
		enums.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED, enums.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
		enums.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES, enums.EVENT_TYPE_MARKER_RECORDED,
		enums.EVENT_TYPE_START_CHILD_WORKFLOW_EXECUTION_INITIATED, enums.EVENT_TYPE_SIGNAL_EXTERNAL_WORKFLOW_EXECUTION_INITIATED,
		enums.EVENT_TYPE_WORKFLOW_PROPERTIES_MODIFIED:
		return 1
	case enums.EVENT_TYPE_ACTIVITY_TASK_STARTED:
		return int(event.GetActivityTaskStartedEventAttributes().GetAttempt()) - 1
	}
	return 0
}

// heartbeats counts those that the worker sent since it started.
func (s *stack) heartbeats(ctx context.Context) (int, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.workerAddress+"/metrics", nil)
	if err != nil {
		return 0, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = res.Body.Close() }()
	total, seen := 0.0, false
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		line := lines.Text()
		if !strings.HasPrefix(line, "temporal_request{") {
			continue
		}
		seen = true
		name, value, _ := strings.Cut(line, "} ")
		if strings.HasPrefix(name, "temporal_request{") && strings.Contains(name, `"RecordActivityTaskHeartbeat"`) {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return 0, err
			}
			total += n
		}
	}
	if !seen {
		return 0, errors.New("the worker tells no numbers of its requests to Temporal")
	}
	return int(total), nil
}

// measureActions counts the actions of Temporal for 1,000 changes, against one
// workflow for each record.
func measureActions(ctx context.Context, b *bench) error {
	n, rounds := b.pick(3000, 500), b.pick(5, 2)
	s, err := b.newStack(ctx, "")
	if err != nil {
		return err
	}
	defer func() { _ = s.stop() }() // its folder goes with the run's
	f, err := b.newFeed(ctx, s, n, 20*time.Millisecond)
	if err != nil {
		return err
	}
	defer f.w.end()
	for _, pace := range []struct {
		name       string
		rate, many int
		aim        float64
	}{{"saturated", 0, n, 20}, {"at 50/s", 50, b.pick(500, 150), 0}} {
		var ours, theirs, ourCPU, theirCPU, ourRate, theirRate []float64
		for range rounds {
			got, err := f.accordActions(ctx, pace.many, pace.rate)
			if err != nil {
				return err
			}
			ours, ourCPU, ourRate = append(ours, got.actions), append(ourCPU, got.cpu), append(ourRate, got.rate)
			if got, err = f.perRecordActions(ctx, min(pace.many, 500), pace.rate); err != nil {
				return err
			}
			theirs, theirCPU, theirRate = append(theirs, got.actions), append(theirCPU, got.cpu), append(theirRate, got.rate)
			b.say("%s: %.0f actions per 1,000 changes, one workflow per record %.0f", pace.name, ours[len(ours)-1], theirs[len(theirs)-1])
		}
		figure := b.results.compare("Temporal actions, "+pace.name, of("Accord", "per 1,000 changes", ours...), of("one workflow per record", "per 1,000 changes", theirs...))
		if pace.aim > 0 {
			figure.aim("at most 20", figure.Value.Median <= pace.aim)
		}
		b.results.compare("CPU of all processes, "+pace.name, of("Accord", "ms/change", ourCPU...), of("one workflow per record", "ms/change", theirCPU...))
		if pace.rate == 0 {
			b.results.compare("changes, "+pace.name, of("Accord", "changes/s", ourRate...), of("one workflow per record", "changes/s", theirRate...))
		}
	}
	return nil
}

// acted is what one volley cost Temporal.
type acted struct {
	// actions are per 1,000 changes, cpu is ms per change, rate is changes per second.
	actions, cpu, rate float64
}

func (f *feed) accordActions(ctx context.Context, n, rate int) (acted, error) {
	s := f.w.s
	if err := f.prepare(ctx, n); err != nil {
		return acted{}, err
	}
	beats, err := s.heartbeats(ctx)
	if err != nil {
		return acted{}, err
	}
	from, err := f.w.position(ctx)
	if err != nil {
		return acted{}, err
	}
	before, begun := s.usage(), time.Now()
	events := f.fire(ctx, f.bodies, rate)
	if err := f.w.awaitIdle(ctx); err != nil {
		return acted{}, err
	}
	used := s.usage().since(before)
	times, err := f.written(ctx, from, n)
	if err != nil {
		return acted{}, err
	}
	last := begun
	for i := range times {
		if times[i].IsZero() || !events[i].acked {
			return acted{}, fmt.Errorf("event %d of %d was acknowledged: %v; it was not written", i, n, events[i].acked)
		}
		if times[i].After(last) {
			last = times[i]
		}
	}
	after, err := s.heartbeats(ctx)
	if err != nil {
		return acted{}, err
	}
	total, err := actions(ctx, s.temporalAddress, begun, last.Add(time.Second))
	if err != nil {
		return acted{}, err
	}
	per := float64(n)
	return acted{float64(total+after-beats) / per * 1000, used.total().Seconds() / per * 1000, per / last.Sub(begun).Seconds()}, nil
}

func (f *feed) perRecordActions(ctx context.Context, n, rate int) (acted, error) {
	before, begun := f.w.s.usage(), time.Now()
	done, err := f.w.tool(ctx, f.pairs[:n], "perrecord", "-temporal", f.w.s.temporalAddress, "-rate", strconv.Itoa(rate))
	if err != nil {
		return acted{}, err
	}
	used := f.w.s.usage().since(before)
	total, err := actions(ctx, f.w.s.temporalAddress, begun, time.Now(), "syncRecord")
	if err != nil {
		return acted{}, err
	}
	per := float64(n)
	return acted{float64(total) / per * 1000, (used.temporal.Seconds() + done.CPU) / per * 1000, per / done.Seconds}, f.w.awaitIdle(ctx)
}
