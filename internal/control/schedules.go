package control

import (
	"context"
	"errors"
	"hash/fnv"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/accord-sync/accord/activities"
	"github.com/accord-sync/accord/internal/fault"
	"github.com/accord-sync/accord/internal/ledger"
	"github.com/accord-sync/accord/workflows"
)

// catchup is how late a scheduled comparison may begin after Temporal was away.
const catchup = time.Hour

// PutSchedules makes the compare schedules of a connection those of plans and
// removes those of the streams in gone. A comparison that is due while the last
// one runs is skipped.
func (c *Control) PutSchedules(ctx context.Context, key ledger.Key, plans []activities.ComparePlan, gone []string) error {
	for _, plan := range plans {
		if err := c.putSchedule(ctx, key, plan); err != nil {
			return err
		}
	}
	for _, stream := range gone {
		id := workflows.CompareScheduleID(key, stream)
		err := temporalFault(c.Temporal.ScheduleClient().GetHandle(ctx, id).Delete(ctx), "remove schedule "+id)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return err
		}
	}
	return nil
}

func (c *Control) putSchedule(ctx context.Context, key ledger.Key, plan activities.ComparePlan) error {
	id := workflows.CompareScheduleID(key, plan.Stream)
	spec := compareSpec(key, plan)
	action := &client.ScheduleWorkflowAction{
		ID:            workflows.ScheduledRunID(key, plan.Stream),
		Workflow:      workflows.RunType,
		Args:          []any{workflows.RunInput{Key: key, Kind: ledger.RunCompare, Stream: plan.Stream, Tuning: c.Tuning}},
		TaskQueue:     c.TaskQueue,
		StaticSummary: runSummary(ledger.RunCompare, plan.Stream),
	}
	schedules := c.Temporal.ScheduleClient()
	_, err := schedules.Create(ctx, client.ScheduleOptions{
		ID: id, Spec: spec, Action: action, CatchupWindow: catchup, Overlap: enumspb.SCHEDULE_OVERLAP_POLICY_SKIP,
		Note: "compares all of " + plan.Stream,
	})
	if errors.Is(err, temporal.ErrScheduleAlreadyRunning) {
		err = schedules.GetHandle(ctx, id).Update(ctx, client.ScheduleUpdateOptions{
			DoUpdate: func(present client.ScheduleUpdateInput) (*client.ScheduleUpdate, error) {
				schedule := present.Description.Schedule
				schedule.Spec, schedule.Action = &spec, action
				return &client.ScheduleUpdate{Schedule: &schedule}, nil
			},
		})
	}
	return temporalFault(err, "store schedule "+id)
}

// compareSpec spreads intervals over the time, so that a thousand connections
// do not compare at the same moment; a cron line is taken at its word.
func compareSpec(key ledger.Key, plan activities.ComparePlan) client.ScheduleSpec {
	if plan.Cron != "" {
		return client.ScheduleSpec{CronExpressions: []string{plan.Cron}, TimeZoneName: plan.TimeZone}
	}
	every := max(plan.Every.Truncate(time.Second), time.Second)
	place := fnv.New32a()
	// A hash never fails to write.
	_, _ = place.Write([]byte(key.String() + "/" + plan.Stream))
	seconds := int64(every / time.Second)
	offset := time.Duration(int64(place.Sum32())%seconds) * time.Second
	return client.ScheduleSpec{Intervals: []client.ScheduleIntervalSpec{{Every: every, Offset: offset}}}
}
