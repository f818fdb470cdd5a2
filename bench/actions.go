package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
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
func actions(ctx context.Context, address string, from, to time.Time) (int, error) {
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
		if !strings.HasPrefix(line, "temporal_request") {
			continue
		}
		seen = true
		name, value, _ := strings.Cut(line, "} ")
		if strings.HasPrefix(name, "temporal_request_total{") && strings.Contains(name, `"RecordActivityTaskHeartbeat"`) {
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
